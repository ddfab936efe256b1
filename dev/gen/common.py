"""What all generators share: declarations are read strictly, and C comes out tidy.

Entry points: load_declarations, Checker, Output, c_string, c_name.
"""

import pathlib
import re
import sys
import tomllib

C_KEYWORDS = frozenset("""auto break case char const continue default do double else enum extern float for goto if
inline int long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while bool true false""".split())


class DeclarationError(Exception):
    """A declaration is not acceptable; the text says where and why."""


def load_declarations(paths):
    """Reads declaration files in the order of their names. Returns a list of (path, dict)."""
    result = []
    for path in sorted(map(pathlib.Path, paths)):
        try:
            result.append((path, tomllib.loads(path.read_text(encoding="utf-8"))))
        except tomllib.TOMLDecodeError as error:
            raise DeclarationError(f"{path}: {error}") from error
    return result


class Checker:
    """Takes values out of a TOML table, complains about wrong types, and at the end about what was not taken."""

    def __init__(self, where, table):
        self.where = where
        self.table = table
        self.taken = set()
        if not isinstance(table, dict):
            self.fail("is not a table")

    def fail(self, text):
        raise DeclarationError(f"{self.where}: {text}")

    def take(self, key, kind, default=None, required=False):
        self.taken.add(key)
        if key not in self.table:
            if required:
                self.fail(f"'{key}' is missing")
            return default
        value = self.table[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(f"'{key}' has the wrong type")
        return value

    def text(self, key, required=False, default=None):
        value = self.take(key, str, default, required)
        if value is not None and not value.strip():
            self.fail(f"'{key}' is empty")
        return value.strip() if isinstance(value, str) else value

    def texts(self, key, allowed=None, required=False):
        """A list of strings without repetition, each of `allowed` when that is given."""
        values = self.take(key, list, [], required)
        for value in values:
            if not isinstance(value, str):
                self.fail(f"'{key}' has something else than strings in it")
            if allowed is not None and value not in allowed:
                self.fail(f"'{key}': unknown value '{value}'")
        if len(set(values)) != len(values):
            self.fail(f"'{key}' has a value twice")
        return values

    def choice(self, key, allowed, default=None, required=False):
        value = self.take(key, str, default, required)
        if value is not None and value not in allowed:
            self.fail(f"'{key}': '{value}' is none of {', '.join(allowed)}")
        return value

    def done(self):
        for key in self.table:
            if key not in self.taken:
                self.fail(f"unknown key '{key}'")


def c_name(name):
    """'unix-time-seconds' -> 'unix_time_seconds'."""
    return re.sub(r"[^A-Za-z0-9]", "_", name).lower()


def c_string(text):
    """A C string literal; NULL for None. Bytes outside of ASCII are written in octal."""
    if text is None:
        return "NULL"
    out = []
    for byte in text.encode("utf-8"):
        char = chr(byte)
        if char in "\"\\":
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


class Output:
    """Lines of C with indentation; `with output.block("if (x)"):` opens and closes braces."""

    def __init__(self):
        self.lines = []
        self.depth = 0

    def line(self, text=""):
        self.lines.append("    " * self.depth + text if text else "")

    def block(self, head, tail="}"):
        return _Block(self, head, tail)

    def text(self):
        return "\n".join(self.lines) + "\n"


class _Block:
    def __init__(self, output, head, tail):
        self.output, self.head, self.tail = output, head, tail

    def __enter__(self):
        self.output.line(f"{self.head} {{" if self.head else "{")
        self.output.depth += 1

    def __exit__(self, *_):
        self.output.depth -= 1
        self.output.line(self.tail)


def write_if_changed(path, text):
    """Leaves a file alone that has the wanted content already, so that nothing is compiled again for nothing."""
    path = pathlib.Path(path)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def run(main):
    """Runs a generator's main function; a declaration error ends it with a message instead of a traceback."""
    try:
        main()
    except DeclarationError as error:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {error}")
