"""Two honest nodes that saw the same records agree, whatever the network did to the order."""

import contextlib
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RuleError
from protocol.ledger import Ledger, Rule, Selection
from protocol.records import (
    REGISTRY,
    Fault,
    Lock,
    Record,
    Refusal,
    Result,
    RoundRecord,
    Signed,
    Timeout,
    endorsements,
    sign,
)
from tests.protocol.keys import key
from tests.protocol.records.examples import (
    ADMISSION,
    DURING_COMMIT,
    DURING_MERGE,
    DURING_REVEAL,
    DURING_ROSTER,
    SCHEDULE,
    attestation,
    commitment,
    contribution,
    digest,
    result,
    signed_round,
    vote,
    withdrawal,
)

ROUND = signed_round(admission=replace(ADMISSION, contributions_per_key=2, contributions=4, bytes_total=5 << 20))
Seen = tuple[Signed[Record], float]


def here(signed: Signed[RoundRecord], number: int) -> Signed[RoundRecord]:
    """The record, moved to this round."""
    return sign(replace(signed.record, round=ROUND.id), key(number))


def _offers() -> list[Seen]:
    seen: list[Seen] = []
    for number, author in enumerate((21, 21, 21, 22, 22, 23)):
        offer = contribution(author, f"{number}", round=ROUND.id, size=(1 + number % 3) << 20)
        late = 2 * 3600.0 if number == 4 else 0.0
        seen += [(commitment(offer, author), DURING_COMMIT + late), (offer, DURING_REVEAL)]
        if number in (0, 3):
            seen += [(withdrawal(offer, who, why), DURING_REVEAL) for who in (21, 22) for why in ("a", "b")]
    return seen


def _said() -> list[Seen]:
    refusals = [
        Refusal(author=key(11).public.point, round=ROUND.id, contribution=digest("x"), fault=Fault.OTHER, reason=why)
        for why in ("one reason", "another")
    ]
    votes = [vote(n, digest(roster)) for n in (11, 12) for roster in "abc"]
    votes += [vote(13, digest("a")), vote(12, digest("a"), attempt=1)]
    numbers = [11] * 3 + [12] * 3 + [13, 12]
    seen: list[Seen] = [(sign(refusal, key(11)), DURING_ROSTER) for refusal in refusals]
    seen += [(here(signed, number), DURING_ROSTER) for signed, number in zip(votes, numbers, strict=True)]
    seen += [(here(attestation(n), n), DURING_MERGE) for n in (11, 12)]
    return seen


def _locks() -> list[Seen]:
    """With the votes of two who voted twice, and of one whose vote comes in no other way."""
    votes = [here(vote(n, digest("a")), n) for n in (11, 12, 14)]
    lock = Lock(attempt=0, roster=digest("a"), votes=endorsements(votes))
    made = [Timeout(author=key(n).public.point, round=ROUND.id, revision=0, attempt=0, lock=lock) for n in (13, 14)]
    return [(sign(timeout, key(n)), DURING_ROSTER) for timeout, n in zip(made, (13, 14), strict=True)]


def _results() -> list[Seen]:
    seen: list[Seen] = []
    for root, stewards in (("merged", (11, 12, 13)), ("merged", (11, 12, 13, 14)), ("another", (12, 13, 14))):
        said = [sign(replace(attestation(n, digest(root)).record, round=ROUND.id), key(n)) for n in stewards]
        made: Result = replace(
            result(11, 11).record, round=ROUND.id, root=digest(root), endorsements=endorsements(tuple(said))
        )
        seen.append((sign(made, key(11)), DURING_MERGE))
    return seen


SEEN = [*_offers(), *_said(), *_locks(), *_results()]


class NotTheirs(Exception):
    """The only refusal here: somebody withdraws what another offered."""


def accept(book: Ledger, signed: Signed[Record], now: float) -> None:
    try:
        book.accept(signed, now)
    except RuleError as error:
        if error.rule is not Rule.AUTHOR:
            raise
        raise NotTheirs from error


def outcome(order: list[Seen]) -> tuple[list[bytes], Selection, list[tuple[bytes, bytes]]]:
    """Everything that a ledger can be asked."""
    book = Ledger(ROUND)
    for signed, now in order:
        with contextlib.suppress(NotTheirs):
            accept(book, signed, now)
    return [s.id for s in book], book.selection(), [(p.first.id, p.second.id) for p in book.equivocations]


EXPECTED = outcome(SEEN)


def test_the_example_is_worth_shuffling() -> None:
    held, selection, lies = EXPECTED
    assert 15 < len(held) < len(SEEN)
    assert len(set(selection.left_out.values())) >= 3
    assert len(selection.roster.contributions) >= 2
    assert len(lies) >= 4


@pytest.mark.must("LED-21")
@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(random: Random) -> None:
    order = list(SEEN)
    random.shuffle(order)
    assert outcome(order) == EXPECTED


@pytest.mark.must("LED-2", "LED-21")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(range(len(SEEN))), max_size=2 * len(SEEN)))
def test_replays_change_nothing(extra: list[int]) -> None:
    assert outcome([*SEEN, *(SEEN[i] for i in extra)]) == EXPECTED
    assert outcome([*(SEEN[i] for i in extra), *SEEN]) == EXPECTED


@pytest.mark.must("LED-21")
def test_a_node_that_restarts_replays_its_store_in_any_order_to_the_same_ledger() -> None:
    by_id = sorted(SEEN, key=lambda seen: seen[0].id)
    assert outcome(by_id) == outcome(by_id[::-1]) == EXPECTED


@pytest.mark.must("LED-5", "LED-21")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 0.999), min_size=2, max_size=2))
def test_the_moment_within_the_window_changes_nothing(parts: list[float]) -> None:
    opens, closes, reveals = SCHEDULE.commit_opens - 3, SCHEDULE.commit_closes + 3, SCHEDULE.reveal_closes + 3
    committed, revealed = opens + parts[0] * (closes - opens), closes + parts[1] * (reveals - closes)
    moved = {DURING_COMMIT: committed, DURING_REVEAL: revealed}
    assert outcome([(signed, moved.get(now, now)) for signed, now in SEEN]) == EXPECTED


def test_the_example_holds_every_kind_that_order_could_touch() -> None:
    same_as_votes = {"ballot", "proposal"}
    same_as_results = {"revision"}
    assert {s.record.noun for s, _ in SEEN} == set(REGISTRY) - {"round"} - same_as_votes - same_as_results
