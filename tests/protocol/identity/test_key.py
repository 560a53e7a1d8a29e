"""What only the owner of a key can do."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import UsageError
from protocol.identity import Key
from tests.protocol.identity.vectors import GOLDEN, KEYS
from tests.protocol.keys import key


@pytest.mark.must("ID-5")
@pytest.mark.parametrize("golden", KEYS, ids=lambda golden: golden["name"])
def test_signatures_are_golden(golden: dict[str, Any]) -> None:
    owner = key(int(golden["scalar"], 16))
    for made in golden["signatures"]:
        data = bytes.fromhex(made["data"])
        assert owner.sign_raw(data).hex() == made["raw"]
        assert owner.sign(bytes.fromhex(GOLDEN["domain"]), data).hex() == made["in_domain"]


RFC_6979_A_2_5 = {
    b"sample": (
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    b"test": (
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
}


@pytest.mark.must("ID-5")
@pytest.mark.parametrize("data", RFC_6979_A_2_5)
def test_signatures_are_those_that_the_rfc_prints(data: bytes) -> None:
    owner = key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
    assert owner.sign_raw(data) == encode_dss_signature(*RFC_6979_A_2_5[data])


@given(st.integers(1, 2**255), st.binary(min_size=1, max_size=64), st.binary(max_size=200))
def test_what_a_key_signs_it_verifies(number: int, domain: bytes, data: bytes) -> None:
    owner = Key(ec.derive_private_key(number, ec.SECP256R1()))
    owner.public.verify(owner.sign(domain, data), domain, data)


def test_generated_keys_differ() -> None:
    assert Key.generate().public != Key.generate().public


@pytest.mark.must("ID-1")
@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP384R1()], ids=lambda curve: curve.name)
def test_a_key_on_another_curve_is_refused(curve: ec.EllipticCurve) -> None:
    with pytest.raises(UsageError, match=curve.name):
        Key(ec.derive_private_key(1, curve))


def test_a_key_shows_its_name_and_not_its_secret() -> None:
    assert repr(key(1)) == f"<Key {key(1).public.name}>"
    assert str(key(1)) == repr(key(1))
