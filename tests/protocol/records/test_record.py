"""Records: one spelling, one author, one id; what is built is valid."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.envelope import Envelope
from protocol.errors import ForgedError, MalformedError, TooLargeError
from protocol.records import (
    REGISTRY,
    Ballot,
    Claim,
    Commitment,
    Kind,
    Recipe,
    Record,
    Round,
    Signed,
    Vote,
    open_record,
    sign,
)
from tests.fuzz.fuzz_records import one
from tests.protocol.keys import key
from tests.protocol.records.examples import ALL, ROUND, digest, signed_round, vote
from tests.protocol.records.strategies import records


@pytest.mark.must("REC-4", "REC-8")
@pytest.mark.parametrize("kind", sorted(REGISTRY))
@settings(max_examples=15, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_any_record_is_read_back_from_its_payload(kind: str, data: st.DataObject) -> None:
    made = data.draw(records(REGISTRY[kind]))
    again = Record.parse(made.payload_type, made.payload())
    assert again == made
    assert again.payload() == made.payload()
    assert again.id == made.id


@pytest.mark.must("REC-8")
@pytest.mark.parametrize("name", sorted(ALL))
def test_the_id_of_a_record_is_the_id_of_its_envelope(name: str) -> None:
    assert ALL[name].record.id == ALL[name].id == ALL[name].envelope.id


@pytest.mark.must("REC-6", "REC-8")
def test_two_stewards_who_vote_alike_make_two_records() -> None:
    assert vote(11, digest("roster")).id != vote(12, digest("roster")).id


@pytest.mark.must("REC-6")
def test_a_record_signed_by_another_key_than_its_author_is_forged() -> None:
    stolen = Envelope.sign(ALL["vote"].record.payload_type, ALL["vote"].record.payload(), key(12))
    with pytest.raises(ForgedError, match="names the author"):
        open_record(stolen)


def test_a_record_is_not_taken_for_another_kind() -> None:
    assert open_record(ALL["vote"].envelope, Vote) == ALL["vote"]
    with pytest.raises(MalformedError, match="a vote where a ballot is expected"):
        open_record(ALL["vote"].envelope, Ballot)


def test_an_envelope_is_not_paired_with_what_it_does_not_hold() -> None:
    with pytest.raises(ForgedError, match="not what its envelope holds"):
        Signed(vote(11, digest("other")).record, vote(11, digest("roster")).envelope)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ROUND.title = "another"  # type: ignore[misc]


@pytest.mark.must("REC-7")
def test_a_record_too_large_for_its_envelope_cannot_be_built() -> None:
    with pytest.raises(TooLargeError, match="at most 16384"):
        replace(ROUND, description="é" * 2000, recipe=Recipe(text='"' * 6000))


def test_what_json_would_not_hold_cannot_be_built_either() -> None:
    author = key(21).public.point
    for wrong in ("ab" * 32, b"short", None, 5):
        with pytest.raises(MalformedError, match=r"commitment\.digest"):
            Commitment(author=author, round=digest("round"), digest=wrong)  # type: ignore[arg-type]
    with pytest.raises(MalformedError, match="half of a character"):
        replace(ROUND, title="\ud800")
    with pytest.raises(MalformedError, match=r"round\.base must be Base, not dict"):
        replace(ROUND, base={"root": "00"})  # type: ignore[arg-type]
    with pytest.raises(MalformedError, match=r"round\.stewards must be a tuple, not set"):
        replace(ROUND, stewards=set(ROUND.stewards))  # type: ignore[arg-type]
    with pytest.raises(MalformedError, match=r"claim\.items must be an integer, not true or false"):
        Claim(suite="a", metric="b", score="1", items=True)


def test_a_caller_may_give_lists_and_words_where_tuples_and_members_are_kept() -> None:
    made = replace(ROUND, kinds=["delta"], prompts=None, stewards=list(ROUND.stewards))  # type: ignore[arg-type]
    assert made.kinds == (Kind.DELTA,)
    assert isinstance(made.kinds[0], Kind)
    assert made.stewards == ROUND.stewards


@pytest.mark.must("REC-5")
def test_a_field_that_is_left_out_is_not_in_the_payload() -> None:
    bare = signed_round(description=None)
    assert b"description" not in bare.record.payload()
    assert Round.parse(bare.record.payload_type, bare.record.payload()).description is None


def test_signing_twice_gives_the_same_envelope() -> None:
    assert sign(ROUND, key(1)) == sign(ROUND, key(1))


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=300) | st.text(max_size=100).map(lambda t: f"application/vnd.umm.vote+json; v=1\n{t}".encode())
)
def test_bytes_of_any_kind_meet_only_our_own_errors(data: bytes) -> None:
    one(data)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(ALL)), st.integers(0, 5000), st.integers(0, 255))
def test_a_payload_with_any_byte_changed_meets_only_our_own_errors(name: str, where: int, byte: int) -> None:
    payload = bytearray(ALL[name].record.payload())
    payload[where % len(payload)] = byte
    one(ALL[name].record.payload_type.encode() + b"\n" + bytes(payload))
