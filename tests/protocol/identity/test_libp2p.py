"""Keys and peer ids in libp2p's own bytes."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import MalformedError
from protocol.identity.libp2p import ID_BYTES, identity_file_bytes, parse_peer_id, peer_digest, peer_id_of
from tests.protocol.identity.vectors import KEYS
from tests.protocol.keys import key


@pytest.mark.must("ID-10")
@pytest.mark.parametrize("golden", KEYS, ids=lambda golden: golden["name"])
def test_an_identity_file_is_golden(golden: dict[str, Any]) -> None:
    owner = key(int(golden["scalar"], 16))
    data = identity_file_bytes(owner)
    assert data.hex() == golden["identity_file"]
    loaded: Any = load_der_private_key(data[4:], None)
    assert loaded.private_numbers() == owner.private.private_numbers()


@pytest.fixture(scope="module")
def crypto_pb2() -> ModuleType:
    """hivemind's protobuf messages, loaded without hivemind (which would load torch)."""
    package = importlib.util.find_spec("hivemind")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "proto" / "crypto_pb2.py"
    found = importlib.util.spec_from_file_location("hivemind_crypto_pb2", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.must("ID-8", "ID-10")
def test_the_bytes_are_those_of_hiveminds_protobuf(crypto_pb2: ModuleType) -> None:
    owner = key(1)
    private = crypto_pb2.PrivateKey(key_type=crypto_pb2.ECDSA, data=owner.sec1_der())
    assert identity_file_bytes(owner) == private.SerializeToString()
    public = crypto_pb2.PublicKey(key_type=crypto_pb2.ECDSA, data=owner.public.der)
    assert b"\x08\x03\x12\x5b" + owner.public.der == public.SerializeToString()


@pytest.mark.must("ID-8")
def test_the_peer_id_is_the_one_that_hivemind_prints() -> None:
    base58 = importlib.import_module("base58")
    for number in range(1, 20):
        public = key(number).public
        assert base58.b58encode(b"\x12\x20" + peer_digest(public.der)).decode() == public.peer_id


@pytest.mark.must("ID-8")
@given(st.binary(min_size=ID_BYTES, max_size=ID_BYTES))
def test_a_peer_id_has_46_characters_and_gives_its_digest_back(digest: bytes) -> None:
    text = peer_id_of(digest)
    assert len(text) == 46
    assert text.startswith("Qm")
    assert parse_peer_id(text) == digest


GOOD = peer_id_of(bytes(ID_BYTES))
NO_PEER_IDS = {
    "nothing": "",
    "a character short": GOOD[:-1],
    "a character long": GOOD + "1",
    "a digit that is none": GOOD[:-1] + "0",
    "letters beyond ASCII": GOOD[:-1] + "é",
    "white space": GOOD[:-1] + " ",
    "another digest function": "Qa" + GOOD[2:],
    "all ones": "1" * 46,
    "more than 34 bytes": "z" * 46,
    "an Ed25519 peer": "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
    "a control character": GOOD[:-1] + "\x1b",
}


@pytest.mark.must("ID-8")
@pytest.mark.parametrize("text", NO_PEER_IDS.values(), ids=NO_PEER_IDS.keys())
def test_what_is_no_peer_id_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="not the peer id of a node") as refusal:
        parse_peer_id(text)
    assert str(refusal.value).isascii()
