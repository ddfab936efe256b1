"""What follows from a declaration: arity, parsers, key extraction, lookup."""
import pytest

from .declarations import KEY

STRING = {"name": "value", "type": "string"}
OPTION = {"name": "seconds", "type": "integer", "token": "EX", "optional": True}


def parser_of(command):
    from command_parser import emit_parsers
    from common import Output
    out = Output()
    emit_parsers(out, [command])
    return out.text()


@pytest.mark.parametrize("args, arity", [
    ([], 1),
    ([KEY, STRING], 3),
    ([KEY, OPTION], -2),
    ([KEY | {"multiple": True}], -2),
    ([STRING | {"optional": True}], -1),
    ([{"name": "data", "type": "block", "multiple": True, "args": [KEY, STRING]}], -3),
    ([{"name": "mode", "type": "oneof", "args": [{"name": "on", "type": "token", "token": "ON"}]}, KEY], 3),
])
def test_arity_follows_from_the_arguments(declare, args, arity):
    assert declare(args).arity == arity


def test_a_plain_command_is_parsed_by_assignments(declare):
    text = parser_of(declare([KEY, STRING]))
    assert "args.key = argv[1];" in text and "args.value = argv[2];" in text
    assert "while" not in text and "if (" not in text and "argc" not in text


def test_numbers_come_after_the_structure_unless_declared_in_order(declare):
    args = [KEY, {"name": "count", "type": "integer"}, {"name": "nx", "type": "token", "token": "NX", "optional": True}]
    after = parser_of(declare(args))
    assert after.index("call_syntax_error") < after.index("num_parse_i64")
    in_order = parser_of(declare(args, numbers="in-order"))
    assert in_order.index("num_parse_i64") < in_order.index("while")


@pytest.mark.parametrize("excess, answer, bound", [("syntax", "call_syntax_error", None), ("arity", None, 2)])
def test_too_many_arguments(declare, excess, answer, bound):
    command = declare([STRING | {"optional": True}], excess=excess)
    assert command.args_max == bound
    assert answer is None or answer in parser_of(command)


@pytest.mark.parametrize("args, legacy", [
    ([KEY], (1, 1, 1)),
    ([STRING, KEY | {"multiple": True}], (2, -1, 1)),
    ([KEY | {"multiple": True}, STRING], (1, -2, 1)),
    ([{"name": "data", "type": "block", "multiple": True, "args": [KEY, STRING]}], (1, -1, 2)),
    ([KEY, KEY | {"name": "other", "access": ["OW"]}], (1, 2, 1)),
    ([STRING], (0, 0, 0)),
])
def test_places_of_keys(declare, args, legacy):
    from command_keys import key_specs, legacy_range
    assert legacy_range(key_specs(declare(args))) == legacy


STREAMS = {"name": "streams", "type": "block", "token": "STREAMS",
           "args": [KEY | {"multiple": True}, {"name": "id", "type": "string", "multiple": True}]}
COUNT = {"name": "count", "type": "integer", "token": "COUNT", "optional": True}


def key_function_of(command):
    from command_keys import emit_key_functions
    from common import Output
    out = Output()
    emit_key_functions(out, [command])
    return out.text()


def test_keys_of_raw_options_are_told_by_their_keywords(declare):
    from command_keys import key_specs
    store = {"name": "store", "type": "oneof", "optional": True, "args": [
        KEY | {"name": "target", "token": "STORE"}, KEY | {"name": "far", "token": "STOREDIST"}]}
    command = declare([KEY, STRING, {"name": "options", "type": "block", "raw": True, "optional": True, "args": [store]}])
    assert [(spec.keyword, spec.index, spec.last, spec.limit) for spec in key_specs(command)] == [
        (None, 1, 0, 0), ("STORE", 3, 0, 0), ("STOREDIST", 3, 0, 0)]
    assert 'args_add_option_key(ret_keys, capacity, count, argv, argc, 3, "storedist", 9, ' in key_function_of(command)


def test_keys_behind_a_keyword_are_a_share_of_the_words_there(declare):
    from command_keys import key_specs, legacy_range
    command = declare([STRING, COUNT, STREAMS], raw=True)
    spec, = key_specs(command)
    assert (spec.keyword, spec.index, spec.last, spec.step, spec.limit) == ("STREAMS", 2, -1, 1, 2)
    assert legacy_range([spec]) == (0, 0, 0) and command.arity == -5
    assert 'args_add_keyword_keys(ret_keys, capacity, count, argv, argc, 2, "streams", 7, 2, ' in key_function_of(command)


def test_a_raw_command_gets_all_its_words(declare):
    text = parser_of(declare([STRING, COUNT, STREAMS], raw=True))
    assert "args.words = &argv[1];" in text and "args.words_count = argc - 1;" in text and "while" not in text


def test_keys_that_have_no_rule_are_unknown(declare):
    """As of SORT: patterns of keys, which share one specification, and a key behind a token that may stand anywhere."""
    from command_keys import key_specs, legacy_range
    by = {"name": "by", "type": "pattern", "token": "BY", "optional": True, "access": ["RO", "ACCESS"]}
    get = by | {"name": "get", "token": "GET", "joins": True}
    store = KEY | {"name": "store", "token": "STORE", "optional": True, "access": ["OW", "UPDATE"]}
    command = declare([KEY, by, COUNT, get, store])
    specs = key_specs(command)
    assert [spec.unknown for spec in specs] == [False, True, True] and legacy_range(specs) == (1, 1, 1)
    text = key_function_of(command)
    assert 'args_is(argv[i], "store", 5)' in text and 'args_is(argv[i], "by", 2)' in text


WEIGHTS = {"name": "weight", "type": "string", "token": "WEIGHTS", "optional": True, "multiple": True, "counted": True}
COUNTED = [{"name": "numkeys", "type": "integer", "min": 1}, KEY | {"multiple": True, "counted": True}]


def test_an_option_can_have_a_word_for_each_counted_key(declare):
    text = parser_of(declare(COUNTED + [WEIGHTS]))
    assert "if (args.key_count > argc - i)" in text and "args.weight_count = args.key_count;" in text


def test_an_option_may_be_refused_the_second_time(declare):
    text = parser_of(declare([STRING, OPTION | {"once": True}]))
    refusal = text.index("if (args.has_seconds)")
    assert text.index("while (i < argc)") < refusal < text.index("call_syntax_error") < text.index("args.has_seconds = true;")
    text = parser_of(declare([STRING, {"name": "rev", "type": "token", "token": "REV", "optional": True, "once": True}]))
    assert text.index("if (args.rev)") < text.index("call_syntax_error") < text.index("args.rev = true;")


def test_too_many_words_are_told_from_unknown_ones_when_the_command_runs(declare):
    text = parser_of(declare([STRING, OPTION], excess="late-arity"))
    assert text.index("if (argc > 4)") < text.index("args_wrong_count") < text.index("if (i < argc)")


def test_categories_follow_from_flags(declare):
    command = declare(flags=["admin", "readonly", "blocking"], categories=["string"])
    assert command.categories() == ["read", "string", "admin", "slow", "blocking", "dangerous"]


def test_the_hash_has_no_collision_and_folds_case():
    from command_table import find_hash, name_slot, name_words
    names = [f"{word}{number}" for word in ("a", "get", "client", "zrangebyscore") for number in range(60)]
    multiplier, bits, slots = find_hash(names)
    assert sorted(slots.values()) == sorted(names)
    for slot, name in slots.items():
        assert name_slot(*name_words(name), len(name), multiplier, bits) == slot


def test_c_strings_are_safe():
    from common import c_string
    assert c_string('a"b\\c\n…') == '"a\\"b\\\\c\\n\\342\\200\\246"'
    assert c_string(None) == "NULL"


def test_an_unchanged_output_is_left_alone(tmp_path):
    from common import write_if_changed
    path = tmp_path / "out"
    write_if_changed(path, "text")
    before = path.stat().st_mtime_ns
    write_if_changed(path, "text")
    assert path.stat().st_mtime_ns == before and path.read_text() == "text"


@pytest.mark.parametrize("arg, text", [
    (OPTION, "[EX seconds]"),
    (KEY | {"multiple": True}, "key [key ...]"),
    ({"name": "id", "type": "string", "token": "ID", "multiple": True, "optional": True}, "[ID id [id ...]]"),
    ({"name": "mode", "type": "oneof", "args": [{"name": "on", "type": "token", "token": "ON"},
                                                {"name": "off", "type": "token", "token": "OFF"}]}, "<ON | OFF>"),
    ({"name": "range", "type": "block", "optional": True, "args": [
        {"name": "start", "type": "integer"}, {"name": "end", "type": "integer"}]}, "[start end]"),
])
def test_syntax(declare, arg, text):
    from command_docs import syntax
    assert syntax(declare([arg]).args[0]) == text


def test_access_by_tokens_looks_behind_the_plain_arguments(declare):
    from command_keys import emit_key_functions
    from common import Output
    key = KEY | {"access": ["RW"], "variable_access": {"tokens": ["GET"], "present": ["RW"], "absent": ["OW"]}}
    out = Output()
    emit_key_functions(out, [declare([key, STRING, {"name": "get", "type": "token", "token": "GET", "optional": True}])])
    assert 'args_has_token(argv, argc, 3, "get", 3)' in out.text()


def test_long_syntax_is_not_written_twice(declare):
    from command_docs import syntax
    long = {"name": "a-very-long-name-of-an-argument-that-repeats", "type": "string", "multiple": True}
    assert syntax(declare([long]).args[0]) == long["name"] + " [...]"


def test_the_client_knows_syntax_and_examples(declare):
    from command_cli import emit_cli
    text = emit_cli([declare([KEY, OPTION, STRING | {"name": "more", "optional": True, "multiple": True}])])
    assert '{.kind = CATALOGUE_WORD, .name = "key"},' in text
    assert '{.kind = CATALOGUE_INTEGER, .name = "seconds", .token = "EX", .optional = true},' in text
    assert '{.kind = CATALOGUE_WORD, .name = "more", .optional = true, .multiple = true},' in text
    assert ".arg_count = 3," in text and "const size_t catalogue_builtin_count = 1;" in text
