"""Public keys in their one spelling, and signatures that are or are not theirs."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ForgedError, MalformedError, UsageError
from protocol.identity import PublicKey
from protocol.identity.public import DER_BYTES, MAX_DOMAIN_BYTES, POINT_BYTES
from tests.protocol.identity.vectors import GOLDEN, KEYS
from tests.protocol.keys import key

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1

PUBLIC = key(1).public
X, Y = PUBLIC.der[-64:-32], PUBLIC.der[-32:]
WITH_HIGH_BIT = next(n for n in range(1, 99) if key(n).public.point[1] & 0x80)


@pytest.mark.must("ID-2", "ID-3", "ID-8", "ID-9")
@pytest.mark.parametrize("golden", KEYS, ids=lambda golden: golden["name"])
def test_a_key_and_its_names_are_golden(golden: dict[str, Any]) -> None:
    public = PublicKey.from_point(bytes.fromhex(golden["point"]))
    assert public.der.hex() == golden["der"]
    assert public.id.hex() == golden["id"]
    assert public.peer_id == golden["peer_id"]
    assert public.name == golden["name"]
    assert PublicKey.from_der(public.der) == public
    assert (len(public.point), len(public.der)) == (POINT_BYTES, DER_BYTES)


@pytest.mark.must("ID-5", "ID-7")
@pytest.mark.parametrize("golden", KEYS, ids=lambda golden: golden["name"])
def test_golden_signatures_verify(golden: dict[str, Any]) -> None:
    public = PublicKey.from_point(bytes.fromhex(golden["point"]))
    for made in golden["signatures"]:
        public.verify_raw(bytes.fromhex(made["raw"]), bytes.fromhex(made["data"]))
        public.verify(bytes.fromhex(made["in_domain"]), bytes.fromhex(GOLDEN["domain"]), bytes.fromhex(made["data"]))


def spelled(number: int) -> bytes:
    return number.to_bytes(32, "big")


NO_POINTS = {
    "nothing": b"",
    "infinity": b"\x00",
    "infinity with 33 bytes": bytes(33),
    "uncompressed": b"\x04" + X + Y,
    "hybrid": b"\x06" + X + Y,
    "a byte short": PUBLIC.point[:-1],
    "a byte long": PUBLIC.point + b"\x00",
    "an unknown first byte": b"\x05" + X,
    "x without a point": b"\x02" + spelled(1 << 255),
    "x of the prime": b"\x02" + spelled(PRIME),
    "x above the prime": b"\x02" + spelled(PRIME + 5),  # 5 is the x of a point
    "x of all ones": b"\x03" + b"\xff" * 32,
}


@pytest.mark.must("ID-2")
@pytest.mark.parametrize("point", NO_POINTS.values(), ids=NO_POINTS.keys())
def test_what_is_no_compressed_point_is_refused(point: bytes) -> None:
    with pytest.raises(MalformedError):
        PublicKey.from_point(point)
    with pytest.raises(MalformedError):
        PublicKey(point)


def test_the_point_above_the_prime_would_be_one_if_it_were_reduced() -> None:
    assert PublicKey.from_point(b"\x02" + spelled(5)).point[-1] == 5


def der_of(curve: ec.EllipticCurve, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    return ec.derive_private_key(5, curve).public_key().public_bytes(Encoding.DER, form)


HEAD = PUBLIC.der[:-65]
NO_DER = {
    "nothing": b"",
    "another curve": der_of(ec.SECP384R1()),
    "another curve of the same size": der_of(ec.SECP256K1()),
    "a compressed point": bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + PUBLIC.point,
    "a hybrid point": HEAD + bytes([6 + Y[-1] % 2]) + X + Y,
    "the point alone": b"\x04" + X + Y,
    "a byte short": PUBLIC.der[:-1],
    "a byte long": PUBLIC.der + b"\x00",
    "a length spelled long": b"\x30\x81" + PUBLIC.der[1:],
    "unused bits": HEAD[:-1] + b"\x01\x04" + X + Y,
    "y of the other point": HEAD + b"\x04" + X + spelled(PRIME - int.from_bytes(Y, "big") + 2),
    "y above the prime": HEAD + b"\x04" + X + b"\xff" * 32,
    "no point": HEAD + b"\x04" + bytes(64),
}


@pytest.mark.must("ID-1", "ID-3")
@pytest.mark.parametrize("der", NO_DER.values(), ids=NO_DER.keys())
def test_der_in_another_spelling_is_refused(der: bytes) -> None:
    with pytest.raises(MalformedError):
        PublicKey.from_der(der)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_key_or_malformed(data: bytes) -> None:
    for read in (PublicKey.from_der, PublicKey.from_point):
        try:
            read(data)
        except MalformedError:
            continue


def test_keys_are_equal_when_their_points_are() -> None:
    again = PublicKey.from_point(PUBLIC.point)
    assert again == PUBLIC
    assert hash(again) == hash(PUBLIC)
    assert again != key(2).public
    assert {PUBLIC: 1}[again] == 1


DATA = b"what was said"
SIGNATURE = key(1).sign_raw(DATA)
R, S = decode_dss_signature(SIGNATURE)


def integer(number: int, padding: int = 0) -> bytes:
    body = bytes(padding) + number.to_bytes(number.bit_length() // 8 + 1, "big")
    return b"\x02" + bytes([len(body)]) + body


def sequence(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return b"\x30" + bytes([len(body)]) + body


BAD_SIGNATURES = {
    "nothing": b"",
    "text": b"signature",
    "raw r and s": spelled(R) + spelled(S),
    "a byte short": SIGNATURE[:-1],
    "a byte behind": SIGNATURE + b"\x00",
    "a byte inside": sequence(integer(R), integer(S), b"\x00"),
    "three integers": sequence(integer(R), integer(S), integer(1)),
    "a long length": b"\x30\x81" + SIGNATURE[1:],
    "an endless length": b"\x30\x80" + SIGNATURE[2:] + b"\x00\x00",
    "a padded r": sequence(integer(R, 1), integer(S)),
    "a padded s": sequence(integer(R), integer(S, 1)),
    "r of zero": sequence(integer(0), integer(S)),
    "s of zero": sequence(integer(R), integer(0)),
    "s of the order": encode_dss_signature(R, ORDER),
    "s plus the order": encode_dss_signature(R, S + ORDER),
    "r plus the order": encode_dss_signature(R + ORDER, S),
    "huge numbers": encode_dss_signature(R + ORDER**2, S),
    "a negative s": sequence(integer(R), b"\x02\x20" + (2**256 - S).to_bytes(32, "big", signed=False)),
    "both swapped": encode_dss_signature(S, R),
}


@pytest.mark.must("ID-4")
@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_a_signature_in_another_spelling_or_out_of_range_is_refused(signature: bytes) -> None:
    with pytest.raises(ForgedError):
        PUBLIC.verify_raw(signature, DATA)


@given(st.integers(0, 8 * len(SIGNATURE) - 1))
def test_a_flipped_bit_of_a_signature_is_refused(bit: int) -> None:
    changed = bytearray(SIGNATURE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ForgedError):
        PUBLIC.verify_raw(bytes(changed), DATA)


@pytest.mark.must("ID-6")
def test_the_other_s_verifies_too() -> None:
    PUBLIC.verify_raw(SIGNATURE, DATA)
    PUBLIC.verify_raw(encode_dss_signature(R, ORDER - S), DATA)


def test_a_signature_is_of_one_key_over_one_text() -> None:
    with pytest.raises(ForgedError, match="not by"):
        key(2).public.verify_raw(SIGNATURE, DATA)
    with pytest.raises(ForgedError, match=PUBLIC.peer_id):
        PUBLIC.verify_raw(SIGNATURE, DATA + b".")


@pytest.mark.must("ID-7")
def test_a_signature_is_good_in_its_domain_only() -> None:
    signature = key(1).sign(b"umm/a", DATA)
    PUBLIC.verify(signature, b"umm/a", DATA)
    PUBLIC.verify_raw(signature, b"\x05\x00\x00\x00umm/a" + DATA)
    for domain, data in [(b"umm/b", DATA), (b"umm/", b"a" + DATA), (b"umm/a" + DATA[:1], DATA[1:])]:
        with pytest.raises(ForgedError):
            PUBLIC.verify(signature, domain, data)
    with pytest.raises(ForgedError):
        PUBLIC.verify_raw(signature, DATA)


@pytest.mark.must("ID-7")
@pytest.mark.parametrize("domain", [b"", b"d" * (MAX_DOMAIN_BYTES + 1)])
def test_a_domain_is_neither_empty_nor_long(domain: bytes) -> None:
    with pytest.raises(UsageError, match="1 to 64"):
        PUBLIC.verify(SIGNATURE, domain, DATA)
    with pytest.raises(UsageError, match="1 to 64"):
        key(1).sign(domain, DATA)


@pytest.mark.must("ID-7")
@pytest.mark.parametrize(
    "start", [b"DSSEv1 ", b"{", b"\x30\x82", b"noise-libp2p-static-key:", b" " * 64, b"umm.example"]
)
def test_other_formats_do_not_begin_like_a_domain(start: bytes) -> None:
    assert not 0 < int.from_bytes((start + b"\x01\x01\x01\x01")[:4], "little") <= MAX_DOMAIN_BYTES
