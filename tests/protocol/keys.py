"""Keys that are the same in every test run, by number."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import Key


@cache
def key(number: int) -> Key:
    """The key with this private scalar, from 1."""
    return Key(ec.derive_private_key(number, ec.SECP256R1()))
