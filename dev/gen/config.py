"""Generates the configuration parser's tables, struct config, the sample file, the reference and the test grammar.

Input: config/*.toml (see config/README.md). Use: config.py OUTPUT_DIRECTORY DECLARATION.toml...
Writes config_values.h, config_table.c, skua.conf, configuration-reference.md, config_grammar.json.
"""

import json
import pathlib
import re
import sys
import textwrap
import tomllib

KINDS = {
    # type: (keys it may have beside the common ones, declaration of the field)
    "bool": (set(), "_Atomic bool {0};"),
    "integer": ({"min", "max", "unit"}, "_Atomic int64_t {0};"),
    "memory": ({"min", "max"}, "_Atomic uint64_t {0};"),
    "octal": ({"min", "max"}, "_Atomic int64_t {0};"),
    "enum": ({"values"}, "_Atomic int {0}; /* enum config_{0} */"),
    "string": ({"letters", "letters_all", "letters_error", "announce"}, "char *{0};"),
    "strings": (set(), "struct config_strings {0};"),
    "numbers": ({"min", "max", "unit"}, "struct config_numbers {0};"),
    "output-limits": (set(), "struct config_output_limit {0}[CONFIG_OUTPUT_CLASS_COUNT];"),
}
REQUIRED = {"type", "default", "apply", "doc", "example"}
COMMON = REQUIRED | {"alias", "accept", "refusal", "differs", "since"}
APPLY = {"start": "CONFIG_APPLY_START", "read": "CONFIG_APPLY_READ", "handler": "CONFIG_APPLY_HANDLER"}
APPLY_TEXT = {"start": "at the start only", "read": "at run time", "handler": "at run time"}
UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
OUTPUT_CLASSES = {"normal", "slave", "replica", "pubsub"}
INT64_MAX = 2**63 - 1
FIRST_VERSION = "0.1.0"


class DeclarationError(Exception):
    """A declaration that cannot be right; the text says where."""


def memory_value(text):
    match = re.fullmatch(r"(\d+)([a-z]*)", text.lower())
    if not match or match[2] not in UNITS:
        raise ValueError(f"'{text}' is not a memory value")
    return int(match[1]) * UNITS[match[2]]


class Option:
    """One option as declared, checked."""

    def __init__(self, name, family, row):
        self.name, self.family, self.row = name, family, row
        self.field = name.replace("-", "_")
        self.constant = "CONFIG_OPTION_" + self.field.upper()
        try:
            self._check()
        except (ValueError, KeyError, TypeError) as error:
            raise DeclarationError(f"{family['file']}: [{name}]: {error}") from error

    def _check(self):
        row = self.row
        if not re.fullmatch(r"[a-z][a-z0-9-]*", self.name):
            raise ValueError("a name has lower-case letters, digits and '-'")
        if missing := REQUIRED - row.keys():
            raise ValueError(f"missing: {', '.join(sorted(missing))}")
        self.kind = row["type"]
        if self.kind not in KINDS:
            raise ValueError(f"unknown type '{self.kind}'")
        if unknown := row.keys() - COMMON - KINDS[self.kind][0]:
            raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
        if row["apply"] not in APPLY:
            raise ValueError(f"unknown apply '{row['apply']}'")
        self.doc = " ".join(row["doc"].split())
        if len(self.doc) < 20:
            raise ValueError("the doc says nothing")
        if {"min", "max"} <= KINDS[self.kind][0] and not {"min", "max"} <= row.keys():
            raise ValueError("min and max are needed")
        self.min, self.max = row.get("min", 0), row.get("max", 0)
        if self.min > self.max:
            raise ValueError("min is over max")
        self.values = row.get("values", [])
        if self.kind == "enum" and (not self.values or len(set(self.values)) != len(self.values)):
            raise ValueError("an enum needs values, each once")
        self.default = row["default"]
        self.accept = row.get("accept")
        if (self.accept is None) != ("refusal" not in row):
            raise ValueError("accept and refusal go together")
        if ("letters" in row) != ("letters_error" in row):
            raise ValueError("letters and letters_error go together")
        self.letters = row.get("letters", "")
        self.all_letter, self.all_letters = row.get("letters_all", ["", ""])
        if set(self.all_letters) - set(self.letters) or self.all_letter and self.all_letter in self.letters:
            raise ValueError("letters_all does not fit letters")
        self.check_value(self.default)
        if not row["example"].startswith(self.name + " "):
            raise ValueError("the example must be a line with this option")
        self.check_value(row["example"][len(self.name) + 1:].strip('\'"'))
        self.alias = row.get("alias")

    def check_value(self, text):
        """Raises ValueError when the option itself would refuse this text."""
        if not isinstance(text, str):
            raise ValueError("values are written as in a configuration file: strings")
        if self.kind == "bool" and text not in ("yes", "no"):
            raise ValueError(f"'{text}' is neither yes nor no")
        if self.kind in ("integer", "octal", "memory"):
            value = memory_value(text) if self.kind == "memory" else int(text, 8 if self.kind == "octal" else 10)
            self.check_range(value)
        if self.kind == "numbers":
            for word in text.split():
                self.check_range(float(word))
        if self.kind == "enum" and text not in self.values:
            raise ValueError(f"'{text}' is none of the values")
        if self.letters and set(text) - set(self.letters + self.all_letter):
            raise ValueError(f"'{text}' has letters that are not allowed")
        if self.kind == "output-limits":
            words = text.split()
            if not words or len(words) % 4 or any(word not in OUTPUT_CLASSES for word in words[::4]):
                raise ValueError(f"'{text}' is no output limit")
            for hard, soft, seconds in zip(words[1::4], words[2::4], words[3::4]):
                memory_value(hard), memory_value(soft), int(seconds)
        if self.accept is not None and text not in self.accept:
            raise ValueError(f"'{text}' is not accepted")

    def check_range(self, value):
        if not self.min <= value <= self.max:
            raise ValueError(f"{value} is not between {self.min} and {self.max}")

    def differs_text(self):
        return self.row.get("differs", "")

    def line(self):
        """The option with its default, as a line of a configuration file."""
        quoted = f'"{self.default}"' if self.default == "" else self.default
        return f"{self.name} {quoted}"


FAMILY_KEYS = {"family", "order", "title", "intro"}


def read_declarations(paths):
    """Returns the families, each with its options, in a stable order."""
    families, names = [], {}
    for path in sorted(paths):
        with open(path, "rb") as file:
            table = tomllib.load(file)
        family = {key: table.pop(key) for key in list(table) if key in FAMILY_KEYS}
        family["file"] = pathlib.Path(path).name
        if missing := FAMILY_KEYS - family.keys():
            raise DeclarationError(f"{path}: missing: {', '.join(sorted(missing))}")
        family["options"] = []
        for name, row in table.items():
            if not isinstance(row, dict):
                raise DeclarationError(f"{path}: unknown key '{name}'")
            option = Option(name, family, row)
            for used in filter(None, (option.name, option.alias)):
                if used in names:
                    raise DeclarationError(f"{path}: '{used}' is declared in {names[used]} already")
                names[used] = path
            family["options"].append(option)
        families.append(family)
    return sorted(families, key=lambda family: family["order"])


def options_of(families):
    return [option for family in families for option in family["options"]]


def c_string(text):
    return json.dumps(text, ensure_ascii=True)


def c_integer(value):
    return f"INT64_C({value})"


def values_header(families):
    out = ["/* Generated by dev/gen/config.py from config/: struct config. Include config/config.h instead. */",
           "#ifndef SKUA_GEN_CONFIG_VALUES_H", "#define SKUA_GEN_CONFIG_VALUES_H", "",
           "#include <stdatomic.h>", "#include <stdbool.h>", "#include <stdint.h>", "", "enum config_option {"]
    options = options_of(families)
    out += [f"    {option.constant}," for option in options]
    out += ["    CONFIG_OPTION_COUNT", "};", ""]
    for option in options:
        if option.kind == "enum":
            prefix = f"CONFIG_{option.field.upper()}_"
            names = [prefix + value.replace("-", "_").upper() for value in option.values]
            out += [f"enum config_{option.field} {{", *(f"    {name}," for name in names), "};", ""]
    out += ["/* Fields with _Atomic may be read on any thread; the others belong to the executor. */", "struct config {"]
    for family in families:
        out.append(f"    /* {family['title']}. */")
        for option in family["options"]:
            out.append("    " + KINDS[option.kind][1].format(option.field))
            if option.row.get("announce"):
                out.append(f"    _Atomic bool {option.field}_is_set; /* {option.field} is not empty */")
    out += ["", "    struct config_state *state; /* private to src/config */", "};", "", "#endif", ""]
    return "\n".join(out)


def table_row(option):
    row = option.row
    fields = [f".name = {c_string(option.name)}", f".family = {c_string(option.family['family'])}",
              f".type = CONFIG_TYPE_{option.kind.replace('-', '_').upper()}", f".apply = {APPLY[row['apply']]}",
              f".offset = offsetof(struct config, {option.field})", f".default_text = {c_string(option.default)}"]
    if option.alias:
        fields.append(f".alias = {c_string(option.alias)}")
    if "min" in row:
        fields += [f".min = {c_integer(option.min)}", f".max = {c_integer(option.max)}"]
    if option.values:
        fields.append(f".values = values_of_{option.field}")
    if option.accept is not None:
        fields += [f".accept = accepted_by_{option.field}", f".refusal = {c_string(row['refusal'])}"]
    if "letters" in row:
        fields += [f".letters = {c_string(option.letters)}", f".all_letter = {c_string(option.all_letter)}",
                   f".all_letters = {c_string(option.all_letters)}", f".letters_error = {c_string(row['letters_error'])}"]
    if row.get("announce"):
        fields.append(f".announce_offset = offsetof(struct config, {option.field}_is_set)")
    body = ",\n".join("        " + field for field in fields)
    return f"    [{option.constant}] = {{\n{body},\n    }},"


def table_source(families):
    out = ["/* Generated by dev/gen/config.py from config/: what the parser and CONFIG know of each option. */",
           "#include <stddef.h>", "", '#include "config/option.h"', ""]
    for option in options_of(families):
        for name, words in ((f"values_of_{option.field}", option.values),
                            (f"accepted_by_{option.field}", option.accept)):
            if words:
                listed = ", ".join(map(c_string, words))
                out.append(f"static const char *const {name}[] = {{{listed}, NULL}};")
    out += ["", "const struct config_option_info config_options[CONFIG_OPTION_COUNT] = {"]
    out += [table_row(option) for option in options_of(families)]
    out += ["};", ""]
    return "\n".join(out)


def comment(text, width=100):
    return "\n".join(textwrap.wrap(text, width, initial_indent="# ", subsequent_indent="# "))


def sample_file(families):
    out = [comment("Sample configuration of Skua: every option with its default. Start with: skua-server skua.conf. "
                   "An option can also be given on the command line (--port 7000) and most can be changed while the "
                   "server runs (CONFIG SET port 7000)."),
           comment("A line is an option and its arguments. Arguments with spaces stand in quotes; what follows a '#' at "
                   "the beginning of a line is a comment. Memory sizes may have a unit: 1k is 1000 bytes and 1kb is 1024; "
                   "likewise m, mb, g and gb. `include other.conf` reads another file at that place."), ""]
    for family in families:
        out += ["#" * 20 + f" {family['title']} " + "#" * 20, "", comment(family["intro"]), ""]
        for option in family["options"]:
            out.append(comment(option.doc))
            if option.differs_text():
                out.append(comment("Unlike Redis: " + option.differs_text()))
            out += ["#", "# " + option.line(), ""]
    return "\n".join(out)


def accepted_text(option):
    """What the option accepts, in words."""
    if option.accept is not None:
        return ", ".join(f"`{value}`" if value else '`""`' for value in option.accept)
    if option.kind == "enum":
        return ", ".join(f"`{value}`" for value in option.values)
    words = {"bool": "`yes`, `no`", "string": "text", "strings": "words", "output-limits": "class, two sizes, seconds"}
    if option.kind == "octal":
        return f"{option.min:o} to {option.max:o} (octal)"
    if option.kind in words:
        return words[option.kind]
    unit = option.row.get("unit", "bytes" if option.kind == "memory" else "")
    end = "and more" if option.max == INT64_MAX else f"to {option.max}"
    return f"{option.min} {end} {unit}".strip()


def reference_page(families):
    out = ["# Configuration options", "", "Generated from the declarations in `config/`.", ""]
    for family in families:
        out += [f"## {family['title']}", "", family["intro"], ""]
        for option in family["options"]:
            default = option.default or '""'
            out += [f"### {option.name}", "", option.doc, "",
                    f"- Accepts: {accepted_text(option)}", f"- Default: `{default}`",
                    f"- Changes: {APPLY_TEXT[option.row['apply']]}",
                    f"- Since: Skua {option.row.get('since', FIRST_VERSION)}"]
            if option.differs_text():
                out.append(f"- Unlike Redis: {option.differs_text()}")
            out += ["", "```", option.row["example"], "```", ""]
    return "\n".join(out)


def grammar(families):
    rows = []
    for option in options_of(families):
        rows.append({"name": option.name, "type": option.kind, "default": option.default,
                     "example": option.row["example"], "apply": option.row["apply"],
                     "min": option.min, "max": option.max, "values": option.values, "accept": option.accept,
                     "letters": option.letters + option.all_letter})
    return json.dumps({"options": rows}, indent=1) + "\n"


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    directory = pathlib.Path(arguments[0])
    try:
        families = read_declarations(arguments[1:])
    except (DeclarationError, tomllib.TOMLDecodeError) as error:
        sys.exit(f"config.py: {error}")
    outputs = {"config_values.h": values_header, "config_table.c": table_source, "skua.conf": sample_file,
               "configuration-reference.md": reference_page, "config_grammar.json": grammar}
    for name, write in outputs.items():
        (directory / name).write_text(write(families), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
