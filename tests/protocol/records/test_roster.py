"""Rosters: sorted ids, one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blobs.chunks import ChunkList
from protocol.errors import MalformedError, TooLargeError
from protocol.records import Roster
from protocol.records.roster import MAX_ROSTER_BYTES
from tests.protocol.records.examples import digest

ONE, TWO = sorted((digest("one"), digest("two")))


@pytest.mark.must("REC-23")
@given(st.sets(st.binary(min_size=32, max_size=32), max_size=20))
def test_a_roster_is_read_back_from_its_bytes(ids: set[bytes]) -> None:
    roster = Roster(tuple(sorted(ids)))
    assert Roster.parse(roster.encode()) == roster
    assert roster.id == ChunkList.of(roster.encode()).id


@pytest.mark.must("REC-23")
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (TWO + ONE, MalformedError),
        (ONE + ONE, MalformedError),
        (ONE + TWO[:-1], MalformedError),
        (ONE + b"\n", MalformedError),
        (bytes(MAX_ROSTER_BYTES + 32), TooLargeError),
    ],
    ids=["descending", "repeated", "truncated", "with a byte behind", "too large"],
)
def test_a_roster_with_a_fault_is_refused(data: bytes, error: type[MalformedError]) -> None:
    with pytest.raises(error) as caught:
        Roster.parse(data)
    assert type(caught.value) is error


def test_a_roster_of_short_ids_cannot_be_built() -> None:
    with pytest.raises(MalformedError, match="not 32 bytes long"):
        Roster((b"a",))
