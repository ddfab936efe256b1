"""Generates the configuration parser's tables, struct config, the sample file, the reference and the test grammar.

Input: config/*.toml (see config/README.md). Use: config.py OUTPUT_DIRECTORY DECLARATION.toml...
Writes config_values.h, config_table.c, skua.conf, configuration-reference.md, config_grammar.json.
"""

import json
import pathlib
import re
import sys
import textwrap

from common import Checker, DeclarationError, c_name, c_string, load_declarations, run, write_if_changed

KINDS = {
    # type: declaration of the field
    "bool": "_Atomic bool {0};",
    "integer": "_Atomic int64_t {0};",
    "memory": "_Atomic uint64_t {0};",
    "octal": "_Atomic int64_t {0};",
    "enum": "_Atomic int {0}; /* enum config_{0} */",
    "string": "char *{0};",
    "strings": "struct config_strings {0};",
    "numbers": "struct config_numbers {0};",
    "output-limits": "struct config_output_limit {0}[CONFIG_OUTPUT_CLASS_COUNT];",
}
RANGED = ("integer", "memory", "octal", "numbers")
APPLY = {"start": "CONFIG_APPLY_START", "read": "CONFIG_APPLY_READ", "handler": "CONFIG_APPLY_HANDLER"}
APPLY_TEXT = {"start": "at the start only", "read": "at run time", "handler": "at run time"}
PROTECTED_TEXT = ", by those whom `enable-protected-configs` permits it"
UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
OUTPUT_CLASSES = {"normal", "slave", "replica", "pubsub"}
INT64_MAX = 2**63 - 1
FIRST_VERSION = "0.1.0"


def memory_value(text):
    match = re.fullmatch(r"(\d+)([a-z]*)", text.lower())
    if not match or match[2] not in UNITS:
        raise ValueError(f"'{text}' is not a memory value")
    return int(match[1]) * UNITS[match[2]]


class Option:
    """One option as declared, checked."""

    def __init__(self, name, table, where):
        checker = Checker(f"{where}: [{name}]", table)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            checker.fail("a name has lower-case letters, digits and '-'")
        self.name, self.field = name, c_name(name)
        self.constant = "CONFIG_OPTION_" + self.field.upper()
        self.kind = checker.choice("type", KINDS, required=True)
        self.apply = checker.choice("apply", APPLY, required=True)
        self.is_protected = checker.take("protected", bool, False)
        self.alias = checker.text("alias")
        self.default = checker.take("default", str, required=True)
        self.doc = " ".join(checker.text("doc", required=True).split())
        self.differs = checker.text("differs") or ""
        self.example = checker.text("example", required=True)
        self.since = checker.text("since", default=FIRST_VERSION)
        self.accept = checker.texts("accept") or None
        self.refusal = checker.text("refusal", required=self.accept is not None)
        # What a file may ask for in vain.
        self.overlooked = checker.texts("overlooked") or None
        self._take_kind(checker)
        checker.done()
        if len(self.doc) < 20:
            checker.fail("the doc says nothing")
        if self.overlooked and set(self.overlooked) & set(self.accept or self.overlooked):
            checker.fail("what is overlooked is not accepted, and other values are")
        try:
            self.check_value(self.default)
            if not self.example.startswith(name + " "):
                raise ValueError("the example is not a line with this option")
            self.check_value(self.example[len(name) + 1:].strip("'\""))
        except ValueError as error:
            checker.fail(str(error))

    def _take_kind(self, checker):
        """The keys that only some types have."""
        ranged, is_enum, is_string = self.kind in RANGED, self.kind == "enum", self.kind == "string"
        self.has_range = ranged
        self.min = checker.take("min", int, 0, required=True) if ranged else 0
        self.max = checker.take("max", int, 0, required=True) if ranged else 0
        self.unit = ranged and checker.text("unit") or ""
        if self.min > self.max:
            checker.fail("min is over max")
        self.values = checker.texts("values", required=True) if is_enum else []
        self.in_pairs = checker.take("in_pairs", bool, False) if self.kind == "numbers" else False
        # What the value names, inside of some directory: "filename", "dirname".
        self.within = checker.choice("within", ("filename", "dirname")) if is_string else None
        self.letters = is_string and checker.text("letters") or ""
        self.letters_error = checker.text("letters_error", required=True) if self.letters else None
        all_letters = checker.texts("letters_all") if self.letters else []
        if all_letters and (len(all_letters) != 2 or set(all_letters[1]) - set(self.letters)
                            or all_letters[0] in self.letters):
            checker.fail("letters_all does not fit letters")
        self.all_letter, self.all_letters = all_letters or ("", "")

    def check_value(self, text):
        """Raises ValueError when the option itself would refuse this text."""
        if self.kind == "bool" and text not in ("yes", "no"):
            raise ValueError(f"'{text}' is neither yes nor no")
        if self.kind in ("integer", "octal", "memory"):
            value = memory_value(text) if self.kind == "memory" else int(text, 8 if self.kind == "octal" else 10)
            self.check_range(value)
        if self.kind == "numbers":
            for word in text.split():
                self.check_range(float(word))
            if self.in_pairs and len(text.split()) % 2:
                raise ValueError(f"'{text}' has an odd number of words")
        if self.kind == "enum" and text not in self.values:
            raise ValueError(f"'{text}' is none of the values")
        if self.within and "/" in text:
            raise ValueError(f"'{text}' is a path")
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

    def line(self):
        """The option with its default, as a line of a configuration file."""
        is_one_word = self.default and not (self.kind == "string" and " " in self.default)
        quoted = self.default if is_one_word else f'"{self.default}"'
        return f"{self.name} {quoted}"


class Foreign:
    """Options of Redis and Valkey that are not declared: a file may have them in vain, or is refused."""

    def __init__(self, table, where, is_refused):
        checker = Checker(f"{where}: {'refused' if is_refused else 'skipped'}", table)
        self.reason = checker.text("reason", required=True)
        self.names = checker.texts("names", required=True)
        self.is_refused = is_refused
        checker.done()


def read_families(paths):
    """Returns the families, each with its options, in the order of the sample."""
    families, names = [], set()
    for path, table in load_declarations(paths):
        checker = Checker(path.name, {key: value for key, value in table.items() if not isinstance(value, dict)})
        family = {"family": checker.text("family", required=True), "title": checker.text("title", required=True),
                  "order": checker.take("order", int, required=True), "intro": checker.text("intro", required=True)}
        family["foreign"] = [Foreign(row, path.name, key == "refused") for key in ("skipped", "refused")
                             for row in checker.take(key, list, [])]
        checker.done()
        family["options"] = [Option(name, row, path.name) for name, row in table.items() if isinstance(row, dict)]
        for name in (name for option in family["options"] for name in (option.name, option.alias) if name):
            if name in names:
                raise DeclarationError(f"{path.name}: '{name}' is declared twice")
            names.add(name)
        families.append(family)
    for group in foreign_of(families):
        group.names = [name for name in group.names if name not in names]  # what is declared has got a meaning
    return sorted(families, key=lambda family: family["order"])


def foreign_of(families):
    return [group for family in families for group in family["foreign"]]


def options_of(families):
    return [option for family in families for option in family["options"]]


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
            out.append("    " + KINDS[option.kind].format(option.field))
    out += ["", "    struct config_state *state; /* private to src/config */", "};", "", "#endif", ""]
    return "\n".join(out)


def table_row(option):
    fields = [f".name = {c_string(option.name)}",
              f".type = CONFIG_TYPE_{option.kind.replace('-', '_').upper()}", f".apply = {APPLY[option.apply]}",
              f".offset = offsetof(struct config, {option.field})", f".default_text = {c_string(option.default)}"]
    if option.is_protected:
        fields.append(".is_protected = true")
    if option.alias:
        fields.append(f".alias = {c_string(option.alias)}")
    if option.has_range:
        fields += [f".min = {c_integer(option.min)}", f".max = {c_integer(option.max)}"]
    if option.in_pairs:
        fields.append(".in_pairs = true")
    if option.values:
        fields.append(f".values = values_of_{option.field}")
    if option.accept is not None:
        fields += [f".accept = accepted_by_{option.field}", f".refusal = {c_string(option.refusal)}"]
    if option.overlooked is not None:
        fields.append(f".overlooked = overlooked_by_{option.field}")
    if option.letters:
        fields += [f".letters = {c_string(option.letters)}", f".all_letter = {c_string(option.all_letter)}",
                   f".all_letters = {c_string(option.all_letters)}", f".letters_error = {c_string(option.letters_error)}"]
    if option.within:
        fields.append(f".path_error = {c_string(f'{option.name} can{chr(39)}t be a path, just a {option.within}')}")
    body = ",\n".join("        " + field for field in fields)
    return f"    [{option.constant}] = {{\n{body},\n    }},"


def table_source(families):
    out = ["/* Generated by dev/gen/config.py from config/: what the parser and CONFIG know of each option. */",
           "#include <stddef.h>", "", '#include "config/option.h"', ""]
    for option in options_of(families):
        for name, words in ((f"values_of_{option.field}", option.values),
                            (f"accepted_by_{option.field}", option.accept),
                            (f"overlooked_by_{option.field}", option.overlooked)):
            if words:
                listed = ", ".join(map(c_string, words))
                out.append(f"static const char *const {name}[] = {{{listed}, NULL}};")
    out += ["", "const struct config_option_info config_options[CONFIG_OPTION_COUNT] = {"]
    out += [table_row(option) for option in options_of(families)]
    out += ["};", "", "const struct config_foreign config_foreign[] = {"]
    out += [f"    {{{c_string(name)}, {c_string(group.reason)}, {'true' if group.is_refused else 'false'}}},"
            for group in foreign_of(families) for name in group.names]
    out += ["    {NULL, NULL, false},", "};", ""]
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
            if option.differs:
                out.append(comment("Unlike Redis: " + option.differs))
            out += ["#", "# " + option.line(), ""]
    return "\n".join(out)


def foreign_section(families):
    """What the reference says about options that are not declared."""
    out = ["## Options of Redis and Valkey that are skipped or refused", "",
           "A configuration file may have those that are skipped; the log says at the start that they have no effect. With one that",
           "is refused the server does not start.", "", "| option | |", "|---|---|"]
    for group in foreign_of(families):
        text = f"{'refused' if group.is_refused else 'skipped'}: {group.reason}"
        out += [f"| `{name}` | {text} |" for name in group.names]
    return [*out, ""]


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
    unit = option.unit or ("bytes" if option.kind == "memory" else "")
    end = "and more" if option.max == INT64_MAX else f"to {option.max}"
    return f"{option.min} {end} {unit}".strip()


def reference_page(families):
    out = ["# Configuration options", "", "Generated from the declarations in `config/`.", ""]
    for family in families:
        out += [f"## {family['title']}", "", family["intro"], ""]
        for option in family["options"]:
            default = option.default or '""'
            out += [f"### `{option.name}`", "", option.doc, "",
                    f"- Accepts: {accepted_text(option)}", f"- Default: `{default}`",
                    f"- Changes: {APPLY_TEXT[option.apply]}" + (PROTECTED_TEXT if option.is_protected else ""),
                    f"- Since: Skua {option.since}"]
            if option.alias:
                out.append(f"- Also called: `{option.alias}`")
            if option.overlooked:
                out.append("- A file may ask in vain for: " + ", ".join(f"`{value}`" if value else '`""`'
                                                                        for value in option.overlooked))
            if option.differs:
                out.append(f"- Unlike Redis: {option.differs}")
            out += ["", "```", option.example, "```", ""]
    return "\n".join(out + foreign_section(families))


def grammar(families):
    rows = []
    for option in options_of(families):
        rows.append({"name": option.name, "type": option.kind, "default": option.default,
                     "example": option.example, "apply": option.apply,
                     "min": option.min, "max": option.max, "values": option.values, "accept": option.accept,
                     "overlooked": option.overlooked,
                     "letters": option.letters + option.all_letter})
    foreign = [{"name": name, "reason": group.reason, "refused": group.is_refused}
               for group in foreign_of(families) for name in group.names]
    return json.dumps({"options": rows, "foreign": foreign}, indent=1) + "\n"


OUTPUTS = {"config_values.h": values_header, "config_table.c": table_source, "skua.conf": sample_file,
           "configuration-reference.md": reference_page, "config_grammar.json": grammar}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    families = read_families(sys.argv[2:])
    for name, write in OUTPUTS.items():
        write_if_changed(pathlib.Path(sys.argv[1]) / name, write(families))


if __name__ == "__main__":
    run(main)
