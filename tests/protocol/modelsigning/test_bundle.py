"""The file format of ``model.sig``."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.envelope import pae
from protocol.errors import ForgedError, TooLargeError
from protocol.modelsigning.bundle import MAX_BUNDLE_BYTES, PAYLOAD_TYPE, Bundle, key_hint, public_pem
from protocol.modelsigning.statement import MAX_STATEMENT_BYTES
from tests.protocol.modelsigning.folders import KEY, OTHER


@settings(deadline=None)
@given(payload=st.binary(max_size=200))
def test_a_bundle_survives_being_written_and_read(payload: bytes) -> None:
    bundle = Bundle.sign(payload, KEY)
    read = Bundle.parse(bundle.encode())
    assert read == bundle
    read.verify(KEY.public)


@pytest.mark.must("OMS-5")
def test_the_signature_is_over_the_payload_bytes_as_they_came() -> None:
    bundle = Bundle.sign(b" { }\n", KEY)
    KEY.public.verify_raw(bundle.signature, pae(PAYLOAD_TYPE, b" { }\n"))
    assert Bundle.parse(bundle.encode()).payload == b" { }\n"


@pytest.mark.must("OMS-3")
def test_the_hint_is_the_digest_of_the_pem_that_openssl_writes() -> None:
    pem = public_pem(KEY.public)
    assert key_hint(KEY.public) == hashlib.sha256(pem).hexdigest()
    assert max(map(len, pem.split(b"\n"))) == 64
    assert load_pem_public_key(pem) == KEY.private.public_key()


@pytest.mark.must("OMS-3")
def test_a_bundle_of_another_key_is_refused_by_name() -> None:
    with pytest.raises(ForgedError, match=f"another key .* than {OTHER.public.name}"):
        Bundle.sign(b"{}", KEY).verify(OTHER.public)


@pytest.mark.must("OMS-4")
@pytest.mark.parametrize("keyid", [None, "", "abc", ...])
def test_any_keyid_is_ignored(keyid: object) -> None:
    bundle = Bundle.sign(b"{}", KEY)
    found = json.loads(bundle.encode())
    signature = found["dsseEnvelope"]["signatures"][0]
    if keyid is ...:
        del signature["keyid"]
    else:
        signature["keyid"] = keyid
    assert Bundle.parse(json.dumps(found).encode()) == bundle


@pytest.mark.must("OMS-2")
def test_absent_log_entries_are_as_good_as_none() -> None:
    bundle = Bundle.sign(b"{}", KEY)
    found = json.loads(bundle.encode())
    del found["verificationMaterial"]["tlogEntries"]
    assert Bundle.parse(json.dumps(found).encode()) == bundle


@pytest.mark.must("OMS-1", "OMS-6")
def test_the_largest_payload_fits_and_anything_larger_does_not() -> None:
    largest = Bundle.sign(bytes(MAX_STATEMENT_BYTES), KEY)
    assert Bundle.parse(largest.encode()) == largest
    with pytest.raises(TooLargeError, match="4194305 bytes"):
        Bundle.sign(bytes(MAX_STATEMENT_BYTES + 1), KEY)
    with pytest.raises(TooLargeError, match="at most"):
        Bundle.parse(b" " * (MAX_BUNDLE_BYTES + 1))
