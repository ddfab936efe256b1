"""What the tests of a part found wrong: for each that failed its name and, in one line, why. dev/test prints that, so that the last
lines of a log are enough to know what to mend.

Entry: of_pytest, of_meson, of_text (what failed), settle (what of that counts), summary (the end of a run).

A spec among fifteen thousand that loses a race against a busy machine is *unsteady*: it failed, and passes alone three times. That
is told with its name and is to be mended, but it does not fail the part. Never forgiven are more than UNSTEADY_MAX of them, those of
folders where chance is what is tested, and grave ones: a server that died, a report of a sanitizer, a failed assertion.
"""
import dataclasses
import json
import re

UNSTEADY_MAX = 5  # of a part: more than that is no accident
ALONE = 3         # how often each must pass by itself
REASON_MAX = 150  # characters
SUMMARY_MAX = 30  # lines

# What a failed test writes where it says why; the first such line is the reason.
TELLING = re.compile(
    r"error:|runtime error|ERROR: |FAILED:|\[   LINE   \]|[Aa]ssertion|: [Ff]ailure|Traceback|^\S+:\d+: |^BUG|WARNING: ThreadSanitizer")
BOUND = re.compile(r"\[  ERROR   \] --- (.*)")  # cmocka: what was expected, the line before the one that says where
CONTROL = re.compile(r"[^ -~]+")  # one line, which any terminal can show


@dataclasses.dataclass(frozen=True)
class Finding:
    """grave: the program under test has gone wrong, whatever happens the next time."""
    name: str
    reason: str
    grave: bool = False

    def __str__(self):
        return f"{self.name} ({self.reason})"


def one_line(text):
    line = CONTROL.sub(" ", text).strip()
    return line if len(line) <= REASON_MAX else line[:REASON_MAX - 3] + "..."


def telling_line(text):
    """The line of a test's output that says most; "" if it has none."""
    lines = [line for line in text.splitlines() if line.strip()]
    bound = ""
    for line in lines:
        if found := BOUND.search(line):
            bound = found[1] + " "
        elif TELLING.search(line):
            return one_line(bound + line.replace("[   LINE   ] --- ", ""))
    return one_line(lines[-1]) if lines else ""


def of_pytest(path):
    """What tests/harness/report.py has written; of a test that failed and whose fixtures failed too, one finding."""
    found = {}
    for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
        if not line.endswith("\n"):
            break  # stopped while it was writing
        entry = json.loads(line)
        before = found.get(entry["name"])
        reason = before.reason if before else one_line(entry["reason"])
        found[entry["name"]] = Finding(entry["name"], reason, entry["grave"] or bool(before and before.grave))
    return list(found.values())


def of_meson(path):
    """What `meson test` has written to meson-logs/testlog.json."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        entry = json.loads(line)
        if entry["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
            continue
        told = telling_line((entry.get("stdout") or "") + "\n" + (entry.get("stderr") or ""))
        reason = f"{entry['result']}, status {entry['returncode']}" + (f": {told}" if told else "")
        found.append(Finding(entry["name"].rpartition(" / ")[2], one_line(reason), True))
    return found


def of_text(command, text):
    """Of a command that is no test runner: what a compiler, a linker or a fuzz target says."""
    told = [line for line in text.splitlines() if TELLING.search(line) and not line.startswith("FAILED:")]
    lines = dict.fromkeys(map(one_line, told or text.splitlines()[-1:] or ["no output"]))
    return [Finding(command, line, True) for line in list(lines)[:5]]


def settle(findings, chance_folders, passes_alone):
    """(unsteady, failed). passes_alone(name): runs that test by itself, and says whether it passes."""
    certain = any(finding.grave or finding.name.startswith(tuple(chance_folders)) for finding in findings)
    if certain or len(findings) > UNSTEADY_MAX:
        return [], list(findings)
    unsteady, failed = [], []
    for finding in findings:
        passed = all(passes_alone(finding.name) for _ in range(ALONE))
        (unsteady if passed else failed).append(finding)
    return unsteady, failed


def summary(failed, unsteady):
    """The last lines of a run. failed, unsteady: part -> findings."""
    lines = []
    for word, parts in (("FAILED", failed), ("unsteady", unsteady)):
        lines += [f"{word} {part}: {finding}" for part, findings in parts.items() for finding in findings]
    if len(lines) > SUMMARY_MAX:
        lines[SUMMARY_MAX - 1:] = [f"... and {len(lines) - SUMMARY_MAX + 1} more: build/test-logs has them"]
    return lines
