"""JSON with one reading: what is refused and why, and that nothing costs more than its length."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.errors import MalformedError, TooLargeError
from protocol.strict import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_NODES,
    canonical,
    from_base64,
    parse_object,
    shown,
    to_base64,
)
from tests.fuzz import fuzz_strict
from tests.protocol.hostile.make_strict import FOLDER, faults

LIMIT = 1 << 20


def parsed(data: bytes) -> dict[str, Any]:
    return parse_object(data, LIMIT, "the text")


REASONS = {
    "empty": "not JSON: Expecting value at character 0",
    "white-space": "not JSON: Expecting value",
    "a-list": "not a JSON object",
    "text": "not a JSON object",
    "a-number": "not a JSON object",
    "null": "not a JSON object",
    "cut-short": "not JSON: Expecting ',' delimiter at character 6",
    "two-objects": "not JSON: Extra data at character 2",
    "bytes-behind": "not JSON: Extra data",
    "byte-order-mark": "not JSON: Unexpected UTF-8 BOM",
    "utf-16": r"not UTF-8 \(byte 0\)",
    "not-utf-8": r"not UTF-8 \(byte 6\)",
    "utf-8-too-long": "not UTF-8",
    "utf-8-surrogate": "not UTF-8",
    "single-quotes": "not JSON: Expecting property name",
    "a-comment": "not JSON: Extra data",
    "a-comma-too-many": "not JSON",
    "key-twice": "holds a key twice",
    "key-twice-deep": "holds a key twice",
    "key-twice-by-escape": "holds a key twice",
    "key-without-quotes": "not JSON: Expecting property name",
    "a-fraction": "holds the number 1.0; only integers",
    "an-exponent": "holds the number 1e2; only integers",
    "a-fraction-without-end": "holds the number 0.1{38}; only integers",
    "not-a-number": "holds the number NaN; only integers",
    "infinity": "holds the number Infinity; only integers",
    "minus-infinity": "holds the number -Infinity; only integers",
    "minus-zero": "holds the number -0; integers",
    "a-plus": "not JSON: Expecting value",
    "a-zero-in-front": "not JSON: Expecting ',' delimiter",
    "beyond-64-bits": "holds the number 9223372036854775808; integers are within 64 bits",
    "below-64-bits": "holds the number -9223372036854775809; integers are within 64 bits",
    "an-endless-number": "holds the number 9{40}; integers are within 64 bits",
    "lone-surrogate": r"a lone surrogate in '\\ud800'",
    "lone-surrogate-in-key": "a lone surrogate",
    "surrogates-swapped": "a lone surrogate",
    "raw-control-character": "not JSON: Invalid control character at",
    "escaped-control-character": r"a control character in '\\x1b\[2J'",
    "escaped-control-character-in-key": "a control character",
    "c1-control-character": r"a control character in '\\x9b2J'",
    "delete": "a control character",
    "line-separator": "a control character",
    "text-turned-round": r"a control character in '\\u202egpj.exe'",
    "text-turned-round-by-isolate": "a control character",
    "right-to-left-mark": "a control character",
    "arabic-letter-mark": "a control character",
    "bad-escape": "not JSON: Invalid",
    "open-escape": "not JSON",
    "open-text": "not JSON: Unterminated string",
    "one-level-too-deep": "nested deeper than 8 levels",
    "nesting-bomb": "nested deeper than 8 levels",
    "nesting-bomb-behind-text": "nested deeper than 8 levels",
    "nesting-bomb-never-closed": "nested deeper than 8 levels",
}


@pytest.mark.must("JSN-1", "JSN-2", "JSN-3", "JSN-4", "JSN-6")
@pytest.mark.parametrize(("fault", "reason"), REASONS.items(), ids=REASONS.keys())
def test_a_hostile_document_is_refused_with_its_own_reason(fault: str, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason) as refusal:
        parsed((FOLDER / f"{fault}.json").read_bytes())
    message = str(refusal.value)
    assert message.startswith("the text ")
    assert message.isascii()
    assert len(message) < 200


def test_the_hostile_files_are_what_their_module_makes() -> None:
    assert {path.stem: path.read_bytes() for path in FOLDER.iterdir()} == faults()
    assert faults().keys() == REASONS.keys()


@pytest.mark.must("JSN-1")
def test_a_document_beyond_its_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLargeError, match="the text is 9 bytes long; at most 8 are allowed"):
        parse_object(b"\xff" * 9, 8, "the text")
    assert parse_object(b'{"a": 1}', 8, "the text") == {"a": 1}


@pytest.mark.must("JSN-6")
def test_as_many_levels_and_values_as_allowed_are_fine() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    assert parsed(json.dumps({"a": deep}).encode()) == {"a": deep}
    many = [0] * (MAX_NODES - 2)  # one less in commas; two brackets, a colon
    assert parsed(json.dumps({"a": many}).encode()) == {"a": many}
    with pytest.raises(TooLargeError, match="more than 65536 values"):
        parsed(json.dumps({"a": [*many, 0]}).encode())


@pytest.mark.must("JSN-6")
@pytest.mark.parametrize("brackets", ["{", "[", "]", "}"])
def test_brackets_and_commas_in_text_do_not_count(brackets: str) -> None:
    value = {'a"': brackets * 20, '\\"': "\\" + brackets * 20 + "\\\\", "c": "," * MAX_NODES}
    assert parsed(json.dumps(value).encode()) == value


LONG_ATTACKS = {
    "quotes": b'"' * LIMIT,
    "escaped quotes in an open text": b'{"a":"' + b'\\"' * (LIMIT // 2 - 8),
    "backslashes": b'{"a":"' + b"\\" * (LIMIT - 10),
    "texts": b'{"a":[' + b'"",' * (MAX_NODES - 10) + b"1",
    "one long text": b'{"a":"' + b"x" * (LIMIT - 8) + b'"',
    "closing brackets": b"{" + b"}" * (LIMIT - 1),
    "opening brackets": b"[" * LIMIT,
    "small arrays": b'{"a":[' + b"[]," * (LIMIT // 4),
    "white space": b" " * LIMIT,
    "digits": b'{"a":' + b"1" * (LIMIT - 8),
    "invalid bytes": b"\xff" * LIMIT,
}


@pytest.mark.must("JSN-6")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("data", LONG_ATTACKS.values(), ids=LONG_ATTACKS.keys())
def test_a_long_document_is_refused_in_time_that_grows_with_its_length_alone(data: bytes) -> None:
    """What takes quadratic time takes minutes at this length."""
    with pytest.raises(MalformedError):
        parsed(data)


NEVER = "\x7f\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=NEVER), max_size=8)
PLAIN = st.none() | st.booleans() | st.integers(-MAX_INTEGER - 1, MAX_INTEGER) | TEXT
LEVEL = st.lists(PLAIN, max_size=3) | st.dictionaries(TEXT, PLAIN, max_size=3)
OBJECTS = st.dictionaries(TEXT, PLAIN | LEVEL | st.lists(LEVEL, max_size=3), max_size=5)


def depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0


@given(OBJECTS)
def test_what_is_written_is_read_again_in_any_spelling(value: dict[str, Any]) -> None:
    assert parsed(canonical(value)) == value
    assert parsed(json.dumps(value, indent=1).encode()) == value


@pytest.mark.must("JSN-5")
@given(OBJECTS)
def test_the_canonical_spelling_does_not_depend_on_the_order_of_keys(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.must("JSN-5")
def test_the_canonical_spelling_has_sorted_keys_no_spaces_and_no_needless_escapes() -> None:
    value = {"é": 1, "z": [True, None], "a": {'"': "\\/"}, "\U0001d11e": -5, "\uff5e": ""}
    spelled = '{"a":{"\\"":"\\\\/"},"z":[true,null],"é":1,"\uff5e":"","\U0001d11e":-5}'
    assert canonical(value).decode() == spelled


@given(st.binary(max_size=200))
@example(b'\\"[[[[[[[[[[[[')
@example(b'{"a":1}\\"')
def test_any_bytes_are_an_object_or_malformed(data: bytes) -> None:
    fuzz_strict.one(data)


@given(st.text(st.sampled_from('{}[],:"\\ 1e-.aN\u202e'), max_size=40))
def test_anything_like_json_is_an_object_or_malformed(text: str) -> None:
    fuzz_strict.one(text.encode())


@given(st.lists(st.tuples(st.booleans(), st.text(st.sampled_from('{}[],:"\\a'), max_size=6)), max_size=2 * MAX_DEPTH))
def test_levels_are_counted_as_the_parser_sees_them(levels: list[tuple[bool, str]]) -> None:
    value: Any = 1
    for in_list, text in levels:
        value = [text, value, text] if in_list else {text: text, text + "x": value}
    document = json.dumps({"": value}).encode()
    if depth(value) < MAX_DEPTH:
        assert parsed(document) == {"": value}
    else:
        with pytest.raises(MalformedError, match="nested deeper"):
            parsed(document)


@given(st.binary(max_size=40))
def test_base64_has_one_spelling(data: bytes) -> None:
    assert from_base64(to_base64(data), "the text", len(data)) == data


@pytest.mark.parametrize("text", ["YQ", "YQ=", "YR==", "YQ==\n", " YQ==", "-_8=", "Y", "é", "YQ==YQ=="])
def test_other_spellings_of_base64_are_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="the text is not base64 in its one spelling"):
        from_base64(text, "the text", 99)


def test_base64_is_measured_before_it_is_read() -> None:
    with pytest.raises(TooLargeError, match="the text has 8 characters of base64, for at most 3 bytes"):
        from_base64("********", "the text", 3)
    with pytest.raises(TooLargeError, match="the text has 2 bytes; at most 1"):
        from_base64("YWI=", "the text", 1)


def test_what_a_stranger_wrote_is_repeated_quoted_escaped_and_cut() -> None:
    assert shown("a'\x1b\u202eé") == ascii("a'\x1b\u202eé")
    assert shown("x" * 81) == f"'{'x' * 80}...'"
    assert (shown(None), shown(["é"])) == ("None", "['\\xe9']")
    assert len(shown([0] * 1000)) == 80
