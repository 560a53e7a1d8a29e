"""Certificates that carry a node's key, and forgeries of them."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError
from protocol.identity import Key
from protocol.identity.certificate import MAX_CERTIFICATE_BYTES, TLS_NAME, certificate, public_key_of
from tests.fuzz import fuzz_identity
from tests.protocol.identity.vectors import GOLDEN, KEYS
from tests.protocol.keys import key

NOW = 1_800_000_000.5


def der(owner: Key) -> bytes:
    return x509.load_pem_x509_certificate(certificate(owner, NOW)[0]).public_bytes(Encoding.DER)


DER = der(key(1))


@pytest.mark.must("ID-14")
@pytest.mark.parametrize("golden", KEYS, ids=lambda golden: golden["name"])
def test_a_certificate_is_golden(golden: dict[str, Any]) -> None:
    assert int(NOW) == GOLDEN["now"]
    owner = key(int(golden["scalar"], 16))
    assert der(owner).hex() == golden["certificate"]
    assert public_key_of(bytes.fromhex(golden["certificate"])) == owner.public


@pytest.mark.must("ID-14")
def test_a_certificate_names_the_node_and_its_private_key_is_beside_it() -> None:
    made, secret = certificate(key(1), NOW)
    found = x509.load_pem_x509_certificate(made)
    assert found.subject.rfc4514_string() == f"CN={key(1).public.peer_id}"
    assert found.not_valid_before_utc < datetime.fromtimestamp(NOW, UTC) - timedelta(days=29)
    assert found.not_valid_after_utc > datetime.fromtimestamp(NOW, UTC) + timedelta(days=3000)
    assert len(DER) < MAX_CERTIFICATE_BYTES
    loaded = load_pem_private_key(secret, None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert loaded.private_numbers().private_value == 1


FIRST = key(1).private
ID = key(1).public.peer_id
SECOND_ID = key(2).public.peer_id
SHA_256 = SHA256()


def made(
    *,
    subject: str = ID,
    issuer: str = ID,
    owner: Any = FIRST,
    signer: Any = FIRST,
    digest: Any = SHA_256,
    more: int = 9,
) -> bytes:
    """A certificate with something about it changed, and an extension of so many bytes that nobody knows."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    start = datetime.fromtimestamp(NOW, UTC)
    builder = x509.CertificateBuilder(names[1], names[0], owner.public_key(), 7, start, start + timedelta(days=1))
    if more:
        padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(more))
        builder = builder.add_extension(padding, critical=True)
    return builder.sign(signer, digest).public_bytes(Encoding.DER)


def part(tag: int, *parts: bytes) -> bytes:
    """A DER element."""
    body = b"".join(parts)
    size = len(body).to_bytes(2, "big")
    return (
        bytes([tag]) + (size[1:] if len(body) < 128 else b"\x81" + size[1:] if size[0] == 0 else b"\x82" + size) + body
    )


ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")
TBS = x509.load_der_x509_certificate(DER).tbs_certificate_bytes


def signed(old: bytes = b"", new: bytes = b"") -> bytes:
    """A certificate with some bytes of another value, and a good signature of the first key over them."""
    assert TBS.startswith(b"\x30\x82")
    assert old in TBS
    tbs = part(0x30, TBS[4:].replace(old, new))
    return part(0x30, tbs, ALGORITHM, part(0x03, b"\x00", key(1).sign_raw(tbs)))


def with_signature(bits: bytes) -> bytes:
    """A certificate whose signature is these bits."""
    return part(0x30, TBS, ALGORITHM, part(0x03, bits))


COMPRESSED = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + key(1).public.point
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
P384 = ec.derive_private_key(5, ec.SECP384R1())
SECP256K1 = ec.derive_private_key(5, ec.SECP256K1())

REFUSED: dict[str, tuple[bytes, type[PeerError], str]] = {
    "nothing": (b"", MalformedError, "other than 1 part"),
    "text": (b"-----BEGIN CERTIFICATE-----", MalformedError, "cannot be parsed"),
    "cut short": (DER[:-1], MalformedError, "cut short"),
    "a byte": (b"\x30", MalformedError, "length that is none"),
    "a byte behind": (DER + b"\x00", MalformedError, "length that is none"),
    "another behind": (DER * 2, MalformedError, "other than 1 part"),
    "too large": (made(more=MAX_CERTIFICATE_BYTES), TooLargeError, "at most 2048"),
    "a set": (b"\x31" + DER[1:], MalformedError, "kind 31 where 30 belongs"),
    "an endless length": (b"\x30\x80" + DER[4:] + b"\x00\x00", MalformedError, "length that is none"),
    "a length of three bytes": (b"\x30\x83\x00" + DER[2:], MalformedError, "length that is none"),
    "a length in needless bytes": (b"\x30\x82\x00\x02\x05\x00", MalformedError, "more bytes than it needs"),
    "a part too many": (part(0x30, DER[4:], b"\x05\x00"), MalformedError, "other than 3 parts"),
    "version 1": (signed(bytes.fromhex("a003020102"), bytes.fromhex("a003020100")), MalformedError, "version 3"),
    "no version": (signed(bytes.fromhex("a003020102")), MalformedError, "other than 8 parts"),
    "no extensions": (made(more=0), MalformedError, "other than 8 parts"),
    "another curve": (made(owner=P384, signer=P384), MalformedError, "P-256"),
    "another curve of the same size": (made(owner=SECP256K1, signer=SECP256K1), MalformedError, "P-256"),
    "another kind of key": (made(owner=ED25519, signer=ED25519, digest=None), MalformedError, "P-256"),
    "a compressed key": (signed(key(1).public.der, COMPRESSED), MalformedError, "uncompressed"),
    "another hash": (made(digest=SHA384()), MalformedError, "ECDSA and SHA-256"),
    "another hash inside": (signed(ALGORITHM, ALGORITHM[:-1] + b"\x03"), MalformedError, "ECDSA and SHA-256"),
    "another signer": (made(signer=key(2).private), ForgedError, "not by"),
    "another key": (made(owner=key(2).private), ForgedError, "other than its key"),
    "another subject": (made(subject=SECOND_ID), ForgedError, "other than its key"),
    "another issuer": (made(issuer="an authority"), ForgedError, "other than its key"),
    "another name": (made(subject="me", issuer="me"), ForgedError, "other than its key"),
    "the name in another kind of text": (
        signed(b"\x0c\x2e" + ID.encode(), b"\x13\x2e" + ID.encode()),
        ForgedError,
        "other than its key",
    ),
    "issued by a node for another": (made(owner=key(2).private, subject=SECOND_ID), ForgedError, "other than its key"),
    "unused bits": (with_signature(b"\x01" + key(1).sign_raw(TBS)), MalformedError, "whole bytes"),
    "no number of unused bits": (with_signature(key(1).sign_raw(TBS)), MalformedError, "whole bytes"),
    "no signature": (with_signature(b"\x00"), ForgedError, "not one"),
    "a signature over nothing": (with_signature(b"\x00" + key(1).sign_raw(b"")), ForgedError, "not by"),
}


@pytest.mark.must("ID-15", "ID-1")
@pytest.mark.parametrize(("data", "error", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_no_node_made_for_itself_is_refused(data: bytes, error: type[PeerError], reason: str) -> None:
    with pytest.raises(error, match=reason):
        public_key_of(data)


def test_the_forger_of_these_tests_can_make_good_ones_too() -> None:
    for good in (made(), signed(), with_signature(b"\x00" + key(1).sign_raw(TBS))):
        assert public_key_of(good) == key(1).public


@given(st.binary(max_size=300))
def test_any_bytes_are_a_certificate_or_refused(data: bytes) -> None:
    fuzz_identity.one(data)


@pytest.mark.must("ID-15")
@given(st.integers(0, 8 * len(DER) - 1))
def test_a_certificate_with_a_flipped_bit_is_refused(bit: int) -> None:
    changed = bytearray(DER)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PeerError):
        public_key_of(bytes(changed))


@pytest.mark.must("ID-16")
def test_dates_and_extensions_say_nothing_about_trust() -> None:
    long_over = made(more=100)  # valid for a day; its critical extension is unknown
    assert public_key_of(long_over) == key(1).public


@pytest.mark.must("ID-16")
def test_the_key_of_either_side_comes_through_mutual_tls(tmp_path: Path) -> None:
    """Each side trusts the other's certificate alone, and reads the key from what the handshake proved."""
    for number, side in ((1, "server"), (2, "client")):
        public, secret = certificate(key(number), datetime.now(UTC).timestamp())
        (tmp_path / f"{side}.pem").write_bytes(public + secret)
    server = context(ssl.PROTOCOL_TLS_SERVER, tmp_path, "server", "client")
    client = context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, "client", "server")
    near, far = socket.socketpair()
    near.settimeout(10)
    far.settimeout(10)
    seen: list[bytes | None] = []

    def serve() -> None:
        with server.wrap_socket(far, server_side=True) as stream:
            stream.recv(1)
            seen.append(stream.getpeercert(binary_form=True))

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(near, server_hostname=TLS_NAME) as stream:
        stream.send(b"x")
        seen.append(stream.getpeercert(binary_form=True))
        thread.join(10)
    assert {public_key_of(found) for found in seen if found} == {key(1).public, key(2).public}


def context(protocol: Any, folder: Path, own: str, other: str) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(folder / f"{own}.pem")
    made.load_verify_locations(folder / f"{other}.pem")
    return made
