"""``python -m tests.protocol.hostile.make_strict``: JSON with one fault each, named by it."""

from pathlib import Path

from protocol.strict import MAX_DEPTH

FOLDER = Path(__file__).with_name("strict")


def faults() -> dict[str, bytes]:
    """Every fault and a document that has it."""
    return {
        "empty": b"",
        "white-space": b" \n",
        "a-list": b"[1]",
        "text": b'"a"',
        "a-number": b"1",
        "null": b"null",
        "cut-short": b'{"a":1',
        "two-objects": b"{}{}",
        "bytes-behind": b"{}\x00",
        "byte-order-mark": b"\xef\xbb\xbf{}",
        "utf-16": '{"a":1}'.encode("utf-16"),
        "not-utf-8": b'{"a":"\xff"}',
        "utf-8-too-long": b'{"a":"\xc0\xaf"}',
        "utf-8-surrogate": b'{"a":"\xed\xa0\x80"}',
        "single-quotes": b"{'a':1}",
        "a-comment": b'{"a":1}//',
        "a-comma-too-many": b'{"a":1,}',
        "key-twice": b'{"a":1,"a":1}',
        "key-twice-deep": b'{"x":[{"a":1,"b":2,"a":3}]}',
        "key-twice-by-escape": b'{"a":1,"\\u0061":2}',
        "key-without-quotes": b"{a:1}",
        "a-fraction": b'{"a":1.0}',
        "an-exponent": b'{"a":1e2}',
        "a-fraction-without-end": b'{"a":0.' + b"1" * 5000 + b"}",
        "not-a-number": b'{"a":NaN}',
        "infinity": b'{"a":Infinity}',
        "minus-infinity": b'{"a":-Infinity}',
        "minus-zero": b'{"a":-0}',
        "a-plus": b'{"a":+1}',
        "a-zero-in-front": b'{"a":01}',
        "beyond-64-bits": b'{"a":9223372036854775808}',
        "below-64-bits": b'{"a":-9223372036854775809}',
        "an-endless-number": b'{"a":' + b"9" * 5000 + b"}",
        "lone-surrogate": b'{"a":"\\ud800"}',
        "lone-surrogate-in-key": b'{"\\udfff":1}',
        "surrogates-swapped": b'{"a":"\\udc00\\ud800"}',
        "raw-control-character": b'{"a":"\n"}',
        "escaped-control-character": b'{"a":"\\u001b[2J"}',
        "escaped-control-character-in-key": b'{"a\\u0000":1}',
        "c1-control-character": '{"a":"\x9b2J"}'.encode(),
        "delete": b'{"a":"\x7f"}',
        "line-separator": '{"a":"\u2028"}'.encode(),
        "text-turned-round": '{"a":"\u202egpj.exe"}'.encode(),
        "text-turned-round-by-isolate": '{"a":["\u2067x\u2069"]}'.encode(),
        "right-to-left-mark": '{"a":"1\u200f2"}'.encode(),
        "arabic-letter-mark": '{"a":"1\u061c2"}'.encode(),
        "bad-escape": b'{"a":"\\x41"}',
        "open-escape": b'{"a":"\\',
        "open-text": b'{"a":"b',
        "one-level-too-deep": b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
        "nesting-bomb": b'{"a":' * 1000 + b"1" + b"}" * 1000,
        "nesting-bomb-behind-text": b'{"\\\\\\"[{":"\\\\","a":' + b"[" * 1000 + b"]" * 1000 + b"}",
        "nesting-bomb-never-closed": b"[" * 1000,
    }


def main() -> None:
    """Write the files anew."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, data in faults().items():
        (FOLDER / f"{name}.json").write_bytes(data)


if __name__ == "__main__":
    main()
