"""Envelopes: golden, round trips, one rule of identity, and a corpus of those with a fault."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_TYPE_BYTES,
    Envelope,
    pae,
)
from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError
from tests.fuzz import fuzz_envelope
from tests.protocol.hostile.make_envelope import FOLDER, KIND, PAYLOAD, envelope, faults, other_s, signature
from tests.protocol.keys import key

GOLDEN: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "envelope.json").read_text())[
    "envelopes"
]

REFUSED: dict[str, tuple[type[PeerError], str]] = {
    "empty": (MalformedError, "not JSON"),
    "cut-short": (MalformedError, "not JSON"),
    "bytes-behind": (MalformedError, "not JSON: Extra data"),
    "two-in-one": (MalformedError, "not JSON: Extra data"),
    "a-list": (MalformedError, "not a JSON object"),
    "too-large": (TooLargeError, "32769 bytes long; at most 32768"),
    "payload-missing": (MalformedError, "exactly the keys payload, payloadType, signatures"),
    "payload-twice": (MalformedError, "a key twice"),
    "payload-a-number": (MalformedError, "payload that is not text"),
    "payload-an-object": (MalformedError, "payload that is not text"),
    "payload-too-large": (TooLargeError, "payload of 16385 bytes; at most 16384"),
    "payload-not-base64": (MalformedError, "payload that is not base64"),
    "payload-without-padding": (MalformedError, "payload that is not base64"),
    "payload-padded-twice": (MalformedError, "payload that is not base64"),
    "payload-with-white-space": (MalformedError, "payload that is not base64"),
    "payload-with-loose-bits": (MalformedError, "payload that is not base64"),
    "payload-url-safe": (MalformedError, "payload that is not base64"),
    "payload-changed": (ForgedError, "signature is not by"),
    "type-missing": (MalformedError, "exactly the keys"),
    "type-null": (MalformedError, "payloadType that is not text"),
    "type-empty": (MalformedError, "the payload type ''"),
    "type-too-long": (MalformedError, "1 to 128 printable"),
    "type-with-space-at-its-end": (MalformedError, "printable ASCII"),
    "type-with-a-newline": (MalformedError, "control character"),
    "type-beyond-ascii": (MalformedError, "printable ASCII"),
    "type-changed": (ForgedError, "signature is not by"),
    "type-moved-into-payload": (ForgedError, "signature is not by"),
    "signatures-missing": (MalformedError, "exactly the keys"),
    "signatures-an-object": (MalformedError, "signatures that are not a list"),
    "signatures-none": (MalformedError, "has 0 signatures; there must be exactly one"),
    "signatures-two": (MalformedError, "has 2 signatures"),
    "signatures-thirty-three": (MalformedError, "has 33 signatures"),
    "signatures-of-one-key-twice": (MalformedError, "has 2 signatures"),
    "signature-null": (MalformedError, "signature that is not an object"),
    "signature-with-more": (MalformedError, "a signature must have exactly the keys keyid, sig"),
    "key-missing": (MalformedError, "exactly the keys keyid, sig"),
    "key-a-number": (MalformedError, "66 lower-case hexadecimal"),
    "key-in-upper-case": (MalformedError, "66 lower-case hexadecimal"),
    "key-uncompressed": (MalformedError, "66 lower-case hexadecimal"),
    "key-short": (MalformedError, "66 lower-case hexadecimal"),
    "key-with-white-space": (MalformedError, "66 lower-case hexadecimal"),
    "key-on-no-curve": (MalformedError, "not a point of the curve"),
    "key-of-another": (ForgedError, "signature is not by"),
    "sig-missing": (MalformedError, "exactly the keys keyid, sig"),
    "sig-null": (MalformedError, "sig that is not text"),
    "sig-empty": (ForgedError, "not one"),
    "sig-too-large": (TooLargeError, "sig of 7. bytes; at most 72"),
    "sig-not-base64": (MalformedError, "sig that is not base64"),
    "sig-changed": (ForgedError, "signature is not by"),
    "sig-with-a-byte-behind": (ForgedError, "not one"),
    "sig-over-the-payload-alone": (ForgedError, "signature is not by"),
    "sig-in-a-domain": (ForgedError, "signature is not by"),
    "one-good-and-one-bad": (MalformedError, "has 2 signatures"),
    "unknown-key": (MalformedError, "exactly the keys"),
    "control-character": (MalformedError, "control character"),
}


@pytest.mark.must("ENV-1", "ENV-2", "ENV-3", "ENV-4", "ENV-5", "ENV-6")
@pytest.mark.parametrize("fault", REFUSED)
def test_a_hostile_envelope_is_refused_with_its_own_reason(fault: str) -> None:
    error, reason = REFUSED[fault]
    with pytest.raises(error, match=reason) as refusal:
        Envelope.parse((FOLDER / f"{fault}.json").read_bytes())
    assert str(refusal.value).isascii()
    assert len(str(refusal.value)) < 400


def test_the_hostile_files_are_what_their_module_makes() -> None:
    assert {path.stem: path.read_bytes() for path in FOLDER.iterdir()} == faults()
    assert faults().keys() == REFUSED.keys()


def test_without_a_fault_the_hostile_envelopes_would_be_accepted() -> None:
    assert Envelope.parse(envelope()).payload == PAYLOAD


@pytest.mark.must("ENV-1", "ENV-4", "ENV-6", "ENV-7", "ENV-8")
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["payload_type"])
def test_an_envelope_is_golden(golden: dict[str, Any]) -> None:
    payload = bytes.fromhex(golden["payload"])
    signer = key(golden["scalar"])
    made = Envelope.sign(golden["payload_type"], payload, signer)
    assert pae(golden["payload_type"], payload).hex() == golden["pae"]
    assert made.encode().decode() == golden["envelope"]
    assert made.id.hex() == golden["id"]
    assert Envelope.parse(golden["envelope"].encode()) == made
    assert made.public == signer.public


@pytest.mark.must("ENV-6")
def test_what_is_signed_is_what_dsse_prints() -> None:
    signed = pae("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


TYPES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=MAX_TYPE_BYTES)


@settings(max_examples=50)
@given(TYPES, st.binary(max_size=300), st.integers(1, 9))
def test_what_was_signed_is_parsed_again(kind: str, payload: bytes, number: int) -> None:
    made = Envelope.sign(kind, payload, key(number))
    again = Envelope.parse(made.encode())
    assert again == made
    assert (again.payload_type, again.payload, again.id) == (kind, payload, made.id)
    assert again.encode() == made.encode()


@pytest.mark.must("ENV-5")
def test_the_largest_envelope_fits() -> None:
    made = Envelope.sign("t" * MAX_TYPE_BYTES, bytes(MAX_PAYLOAD_BYTES), key(1))
    assert len(made.encode()) < MAX_ENVELOPE_BYTES


@pytest.mark.must("ENV-7")
def test_any_spelling_is_accepted_and_written_in_one() -> None:
    made = Envelope.sign(KIND, PAYLOAD, key(1))
    document = json.loads(made.encode())
    document = {name: document[name] for name in ("signatures", "payloadType", "payload")}
    again = Envelope.parse(json.dumps(document, indent=2).encode())
    assert again == made
    assert again.encode() == made.encode()


@pytest.mark.must("ENV-8", "ID-6")
def test_the_id_is_the_same_whoever_signed_and_however() -> None:
    first = Envelope.parse(envelope())
    others = [
        Envelope.parse(envelope(signatures=[other_s()])),
        Envelope.parse(envelope(signatures=[signature(2)])),
    ]
    assert {found.id for found in others} == {first.id}
    assert len({found.encode() for found in [first, *others]}) == 3


@pytest.mark.must("ENV-8")
def test_the_id_depends_on_every_byte_of_type_and_payload() -> None:
    contents = [("ab", b"cd"), ("abc", b"d"), ("a", b"bcd"), ("ab", b"ce"), ("ac", b"cd"), ("ab", b"cd\x00")]
    assert len({Envelope.sign(kind, payload, key(1)).id for kind, payload in contents}) == len(contents)


@pytest.mark.must("ENV-6", "ENV-9")
@pytest.mark.parametrize("payload", [b'{"a": 1, "a": 2}', b"\xff\xfe", b"{" * 100, b"", b' {"b":1,"a":2}\n'])
def test_the_payload_is_kept_as_it_came_and_not_parsed(payload: bytes) -> None:
    assert Envelope.parse(Envelope.sign(KIND, payload, key(1)).encode()).payload == payload


@pytest.mark.must("ENV-6")
def test_an_envelope_cannot_be_built_around_what_was_not_signed() -> None:
    good = Envelope.sign(KIND, PAYLOAD, key(1))
    with pytest.raises(ForgedError):
        Envelope(KIND, PAYLOAD + b" ", good.public, good.sig)
    with pytest.raises(ForgedError):
        Envelope(KIND, PAYLOAD, key(2).public, good.sig)


@pytest.mark.must("ENV-3", "ENV-5")
def test_nothing_is_signed_that_nobody_would_accept() -> None:
    with pytest.raises(MalformedError, match="printable ASCII"):
        Envelope.sign(" ", PAYLOAD, key(1))
    with pytest.raises(TooLargeError, match="payload of 16385 bytes"):
        Envelope.sign(KIND, bytes(MAX_PAYLOAD_BYTES + 1), key(1))


@pytest.mark.must("ENV-6")
@given(st.data())
def test_a_changed_byte_of_an_envelope_is_noticed(data: st.DataObject) -> None:
    good = Envelope.sign(KIND, PAYLOAD, key(1))
    changed = bytearray(good.encode())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = Envelope.parse(bytes(changed))
    except PeerError:
        return
    assert found == good  # white space or an escape in another spelling


@given(st.binary(max_size=300))
def test_any_bytes_are_an_envelope_or_refused(data: bytes) -> None:
    fuzz_envelope.one(data)


@given(
    st.dictionaries(
        st.sampled_from(["payload", "payloadType", "signatures", "x"]),
        st.none() | st.text() | st.lists(st.none()) | st.integers(),
    )
)
def test_any_object_is_an_envelope_or_refused(document: dict[str, Any]) -> None:
    fuzz_envelope.one(json.dumps(document).encode())
