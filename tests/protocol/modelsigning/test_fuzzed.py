"""Bytes that nobody chose: only the room's own errors come out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_bundle, fuzz_claims
from tests.protocol.modelsigning.faults import CLAIM, GOOD

VALID = st.sampled_from([GOOD.encode(), GOOD.payload, CLAIM.encode() + b"\n"])
PIECES = st.one_of(st.binary(max_size=8), st.sampled_from([b"{", b"]", b'"', b"null", b"1e5", b"\\u0000", b"\n", b","]))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Something valid with a piece cut out and another put in."""
    whole = draw(VALID)
    start = draw(st.integers(0, len(whole)))
    return whole[:start] + draw(PIECES) + whole[start + draw(st.integers(0, 8)) :]


@settings(deadline=None)
@given(data=st.one_of(st.binary(max_size=200), damaged()))
def test_a_parser_answers_bytes_of_any_kind_with_its_own_errors_only(data: bytes) -> None:
    fuzz_bundle.one(data)
    fuzz_claims.one(data)
