"""dev/test names what failed, and tells a spec that lost a race once from one that fails: dev/findings.py, tests/harness/report.py."""
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import types

import pytest

from harness.resp import eventually

from .declarations import ROOT

sys.path.insert(0, str(ROOT / "dev"))

import findings  # noqa: E402
from findings import Finding  # noqa: E402

LOST_RACE = Finding("tests/integration/test_x.py::test_y[tcp-0]", "assert 1 == 2")
CRASH = Finding("tests/integration/test_x.py::test_z[tcp-0]", "EOFError", grave=True)


def settle(found, passes=lambda name, run: True):
    """What settle says, and the names that it ran, in order; passes(name, run) of the nth run of a name."""
    runs = []

    def passes_alone(name):
        runs.append(name)
        return passes(name, runs.count(name))

    return findings.settle(found, ["tests/crash"], passes_alone), runs


def several(count):
    return [Finding(f"tests/integration/test_x.py::test_{number}", "assert 0") for number in range(count)]


def test_a_spec_that_passes_alone_three_times_is_unsteady():
    assert settle([LOST_RACE]) == (([LOST_RACE], []), [LOST_RACE.name] * 3)


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_a_spec_that_fails_alone_even_once_has_failed(bad):
    (unsteady, failed), runs = settle([LOST_RACE], lambda name, run: run != bad)
    assert (unsteady, failed, len(runs)) == ([], [LOST_RACE], bad)


def test_each_is_judged_by_itself():
    found = several(findings.UNSTEADY_MAX)
    (unsteady, failed), _ = settle(found, lambda name, run: name != found[1].name)
    assert failed == [found[1]] and unsteady == [found[0], *found[2:]]


def test_more_than_five_are_no_accident_and_are_not_run_again():
    found = several(findings.UNSTEADY_MAX + 1)
    assert settle(found) == (([], found), [])


@pytest.mark.parametrize("other", [CRASH, Finding("tests/crash/test_crash.py::test_x", "a promise was broken")])
def test_what_cannot_be_an_accident_is_not_run_again(other):
    assert settle([LOST_RACE, other]) == (([], [LOST_RACE, other]), [])


def meson_log(path, *entries):
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return findings.of_meson(path)


def meson_entry(**changes):
    return {"name": "skua:unit / unit-base-buf", "result": "FAIL", "returncode": 1, "stdout": "", "stderr": ""} | changes


def test_of_a_unit_test_the_broken_assertion_is_told(tmp_path):
    output = "[ RUN      ] test_a\n[  ERROR   ] --- 0x1 != 0x2\n[   LINE   ] --- ../tests/unit/test_buf.c:12: error: Failure!\n"
    found = meson_log(tmp_path / "log", meson_entry(stdout=output), meson_entry(name="skua:unit / good", result="OK", returncode=0))
    assert found == [Finding("unit-base-buf", "FAIL, status 1: 0x1 != 0x2 ../tests/unit/test_buf.c:12: error: Failure!", True)]


def test_of_a_gate_the_first_finding_is_told(tmp_path):
    output = "looking at 300 files\nsrc/x.c:12: banned: strcpy: use memcpy with a size\nsrc/y.c:1: opener\n"
    assert meson_log(tmp_path / "log", meson_entry(name="skua:gates / style", stdout=output)) == [
        Finding("style", "FAIL, status 1: src/x.c:12: banned: strcpy: use memcpy with a size", True)]


def test_a_test_without_a_word_is_told_by_its_status(tmp_path):
    assert meson_log(tmp_path / "log", meson_entry(result="TIMEOUT", returncode=-15)) == [
        Finding("unit-base-buf", "TIMEOUT, status -15", True)]
    assert findings.of_meson(tmp_path / "there is none") == []


def test_a_compiler_s_errors_are_told_once_each():
    text = "[1/9] cc x.c\nFAILED: x.o\ncc -c x.c\nx.c:3:1: error: no such thing\nx.c:3:1: error: no such thing\nninja: stopped\n"
    assert findings.of_text("ninja", text) == [Finding("ninja", "x.c:3:1: error: no such thing", True)]
    assert findings.of_text("dev/fuzz", "x\nlast words\n") == [Finding("dev/fuzz", "last words", True)]


def test_the_end_of_a_run_names_everything_in_thirty_lines_at_most():
    lines = findings.summary({"integration": [CRASH], "unit": []}, {"integration": [LOST_RACE]})
    assert lines == [f"FAILED integration: {CRASH.name} (EOFError)", f"unsteady integration: {LOST_RACE.name} (assert 1 == 2)"]
    lines = findings.summary({"integration": several(100)}, {})
    assert len(lines) == findings.SUMMARY_MAX and lines[-1].startswith("... and 71 more")


def test_a_reason_is_one_line_of_plain_text():
    assert findings.one_line("a\x1b[1m\tb\n") == "a [1m b"
    assert len(findings.one_line("x" * 10000)) == findings.REASON_MAX


# ---- With pytest itself ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder():
    """pytest names specs by their paths below the root."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="made-up-") as path:
        yield pathlib.Path(path)


@pytest.fixture
def dev_test(folder):
    """dev/test as a module whose logs lie in a folder of their own."""
    loader = importlib.machinery.SourceFileLoader("dev_test", str(ROOT / "dev" / "test"))
    module = types.ModuleType("dev_test")
    module.__file__ = loader.path
    exec(loader.get_code("dev_test"), module.__dict__)
    module.LOGS = folder / "logs"
    module.LOGS.mkdir()
    module.WORKERS = 1
    return module


@pytest.fixture
def run_specs(dev_test, folder):
    """run_specs(text) runs a part of these specs; (what it failed with or None, what was unsteady), each as name -> reason."""
    def run(text):
        spec = folder / "test_made_up.py"
        spec.write_text(f"import pathlib\nFOLDER = pathlib.Path({str(folder)!r})\n{text}")
        with open(folder / "log", "wb") as log:
            runner = dev_test.Runner("made-up", 60, log)
            try:
                runner.pytest(str(spec), "--timeout=30")
                failed = None
            except dev_test.Failed as failure:
                failed = failure.findings
        return tuple(found if found is None else {finding.name.rpartition("::")[2]: finding.reason for finding in found}
                     for found in (failed, runner.unsteady))

    return run


FAILS_ONCE = '''
def test_fails_once():
    seen = FOLDER / "seen"
    if not seen.exists():
        seen.touch()
        assert 1 == 2
'''


def test_specs_that_pass(run_specs):
    assert run_specs("def test_good(): pass") == (None, {})


def test_a_spec_that_fails_once_is_run_again_and_named(run_specs):
    assert run_specs(FAILS_ONCE) == (None, {"test_fails_once": "assert 1 == 2"})


def test_a_spec_that_fails_always_fails_the_part(run_specs):
    text = FAILS_ONCE + "\n\ndef test_bad():\n    assert 'a' == 'b', 'not\\nat all'"
    assert run_specs(text) == ({"test_bad": "AssertionError: not"}, {"test_fails_once": "assert 1 == 2"})


def test_a_server_that_dies_once_fails_the_part(run_specs):
    assert run_specs(FAILS_ONCE.replace("assert 1 == 2", "raise AssertionError('the server died (-11):\\nlog')")) == (
        {"test_fails_once": "AssertionError: the server died (-11):"}, {})


def test_specs_that_cannot_be_read_fail_the_part(run_specs):
    failed, unsteady = run_specs("def test_x(:\n")
    assert len(failed) == 1 and unsteady == {}


def test_a_part_that_takes_too_long_names_what_had_failed_by_then(dev_test, folder, monkeypatch, capsys):
    class Impatient(subprocess.Popen):
        """Its time is up when the first failure has been written down."""
        def wait(self, timeout=None):
            if timeout:
                eventually(lambda: findings.of_pytest(dev_test.LOGS / "build.findings"))
                raise subprocess.TimeoutExpired(self.args, timeout)
            return super().wait()

    spec = folder / "test_slow.py"
    spec.write_text("import time\ndef test_a_bad(): assert 0, 'bad'\ndef test_b_slow(): time.sleep(600)\n")
    monkeypatch.setattr(subprocess, "Popen", Impatient)
    dev_test.PARTS = {"build": (lambda runner, options: runner.pytest(str(spec)), 60, "")}
    failed, unsteady = dev_test.run_part("build", types.SimpleNamespace(budget_factor=1, fuzz_seconds=4))
    assert [finding.reason.partition(":")[0] for finding in failed] == ["AssertionError", "stopped"] and unsteady == []
    assert capsys.readouterr().out.splitlines()[1].endswith("::test_a_bad (AssertionError: bad)")
