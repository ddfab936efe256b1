"""What the generators of options and metrics refuse, and what follows from a declaration."""
import json
import re

import pytest

from .declarations import ROOT, toml

OPTION = {"type": "integer", "default": "5", "min": 1, "max": 10, "apply": "read", "example": "probe 7",
          "doc": "What it does, in words."}
FIELD = {"type": "gauge", "help": "What it says."}


def body(table):
    return "\n".join(f"{key} = {toml(value)}" for key, value in table.items() if value is not None)


@pytest.fixture
def option(tmp_path):
    """option(key=value, …) declares one option `probe`, reads it and returns it."""
    from config import read_families

    def declare(name="probe", more="", **changes):
        path = tmp_path / "probe.toml"
        path.write_text('family = "probes"\ntitle = "Probes"\norder = 1\nintro = "About probes."\n'
                        f"[{name}]\n{body(OPTION | changes)}\n{more}")
        return read_families([path])[0]["options"][0]

    return declare


@pytest.fixture
def sections(tmp_path):
    """sections(key=value, …) declares a section with one field `probe` and returns what was read."""
    from metrics import read_sections

    def declare(name="probe", section=None, more="", **changes):
        path = tmp_path / "probe.toml"
        head = {"section": "Probes", "order": 1, "default": True, "intro": "About probes."} | (section or {})
        path.write_text(f"{body(head)}\n[{name}]\n{body(FIELD | changes)}\n{more}")
        return read_sections([path])

    return declare


def refused(declare, message, **changes):
    from common import DeclarationError
    with pytest.raises(DeclarationError) as caught:
        declare(**changes)
    assert message in str(caught.value)


# ---- Options --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["type", "default", "apply", "doc", "example", "min", "max"])
def test_keys_of_options_that_are_required(option, key):
    refused(option, f"'{key}' is missing", **{key: None})


@pytest.mark.parametrize("changes, message", [
    ({"colour": "blue"}, "unknown key 'colour'"),
    ({"values": ["a"]}, "unknown key 'values'"),
    ({"type": "number"}, "'number' is none of"),
    ({"apply": "never"}, "'never' is none of"),
    ({"default": "11"}, "11 is not between 1 and 10"),
    ({"default": "x"}, "invalid literal"),
    ({"example": "prober 7"}, "the example is not a line with this option"),
    ({"example": "probe 70"}, "70 is not between 1 and 10"),
    ({"min": 11}, "min is over max"),
    ({"doc": "Short."}, "the doc says nothing"),
    ({"name": "Probe"}, "lower-case letters"),
    ({"accept": ["5"]}, "'refusal' is missing"),
    ({"accept": ["6", "7"], "refusal": "no"}, "'5' is not accepted"),
    ({"accept": ["5"], "refusal": "no", "overlooked": ["5"]}, "what is overlooked is not accepted"),
    ({"overlooked": ["6"]}, "what is overlooked is not accepted"),
    ({"type": "bool", "min": None, "max": None}, "'5' is neither yes nor no"),
    ({"type": "memory", "default": "5x"}, "'5x' is not a memory value"),
    ({"type": "enum", "min": None, "max": None}, "'values' is missing"),
    ({"type": "enum", "min": None, "max": None, "values": ["a", "a"]}, "a value twice"),
    ({"type": "enum", "min": None, "max": None, "values": ["a"]}, "'5' is none of the values"),
    ({"type": "string", "min": None, "max": None, "default": "a/b", "within": "filename"}, "is a path"),
    ({"type": "string", "min": None, "max": None, "letters": "abc", "letters_error": "no"}, "letters that are not allowed"),
    ({"type": "output-limits", "min": None, "max": None, "default": "normal 1 2"}, "no output limit"),
])
def test_refused_options(option, changes, message):
    refused(option, message, **changes)


def test_a_name_is_used_once(option):
    refused(option, "'other' is declared twice", alias="other",
            more=f"[other]\n{body(OPTION | {'example': 'other 7'})}")


def test_memory_is_read_with_its_unit(option):
    assert option(type="memory", default="1kb", min=1024, max=1024, example="probe 1024").kind == "memory"


def test_the_generated_sample_and_reference_have_every_option():
    generated = ROOT / "build" / "dev" / "gen"
    options = json.loads((generated / "config_grammar.json").read_text())["options"]
    sample = (generated / "skua.conf").read_text()
    reference = (generated / "configuration-reference.md").read_text()
    assert len(options) > 30
    for row in options:
        assert re.search(rf"^# {row['name']} ", sample, re.MULTILINE), row["name"]
        assert f"### `{row['name']}`" in reference
    assert all(line == "" or line[0] == "#" for line in sample.splitlines()), "the sample changes nothing"


# ---- Metrics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes, message", [
    ({"type": None}, "'type' is missing"),
    ({"help": None}, "'help' is missing"),
    ({"help": " "}, "'help' is empty"),
    ({"type": "number"}, "'number' is none of"),
    ({"colour": "blue"}, "unknown key 'colour'"),
    ({"name": "Probe"}, "lower-case letters"),
    ({"type": "rows", "constant": "0"}, "rows cannot be constant"),
    ({"section": {"order": None}}, "'order' is missing"),
    ({"section": {"colour": "blue"}}, "unknown key 'colour'"),
])
def test_refused_metrics(sections, changes, message):
    refused(sections, message, **changes)


def test_a_field_is_declared_once(sections, tmp_path):
    from common import DeclarationError
    from metrics import read_sections
    sections()
    (tmp_path / "other.toml").write_text((tmp_path / "probe.toml").read_text()
                                         .replace("Probes", "Others").replace("order = 1", "order = 2"))
    with pytest.raises(DeclarationError, match="'probe' is declared twice"):
        read_sections([tmp_path / "probe.toml", tmp_path / "other.toml"])


def test_a_constant_has_no_getter(sections):
    assert sections()[0].fields[0].getter == "metric_probe"
    assert sections(constant="0")[0].fields[0].getter is None
    assert sections(name="probe_", type="rows")[0].fields[0].getter == "metric_probe"
