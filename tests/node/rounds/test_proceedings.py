"""What a node keeps of a round, and what is left of it after a crash."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.database import Database
from node.errors import UserError
from node.rounds.proceedings import Proceedings
from protocol.errors import RuleError
from protocol.identity import Key
from protocol.log import Checkpoint, log_key
from protocol.reader import Reader
from protocol.records import Commitment, Contribution, Round, Signed, sign
from tests.node.rounds.members import COMMITTING, OPENS, REVEALING, a_commitment, a_contribution, a_round

ME, OTHER = Key.generate(), Key.generate()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with_it = Database(tmp_path / "node.db")
    yield with_it
    with_it.close()


@pytest.fixture
def round_() -> Signed[Round]:
    return a_round(ME)


@pytest.fixture
def proceedings(database: Database, round_: Signed[Round]) -> Proceedings:
    return Proceedings.begin(round_, database, ME, OPENS)


def test_what_was_said_and_heard_is_there_after_a_restart(
    proceedings: Proceedings, database: Database, round_: Signed[Round]
) -> None:
    mine, theirs = a_contribution(ME, round_, 1), a_contribution(OTHER, round_, 2)
    proceedings.say(a_commitment(mine), COMMITTING)
    proceedings.accept([sign(a_commitment(theirs), OTHER).envelope], COMMITTING)
    proceedings.accept([sign(theirs, OTHER).envelope], REVEALING)
    proceedings.say(mine, REVEALING)
    again = Proceedings.open(round_.id, database, ME)
    assert [one.id for one in again.ledger] == [one.id for one in proceedings.ledger]
    assert again.log.ids == proceedings.log.ids
    assert [one.id for one in again.own] == [one.id for one in proceedings.own]
    assert again.ledger.selection().roster == proceedings.ledger.selection().roster
    assert len(again.ledger.selection().roster.contributions) == 2


def test_a_late_commitment_stays_late_after_a_restart(
    proceedings: Proceedings, database: Database, round_: Signed[Round]
) -> None:
    offer = a_contribution(OTHER, round_)
    late = sign(a_commitment(offer), OTHER)
    proceedings.accept([late.envelope], REVEALING)
    assert Proceedings.open(round_.id, database, ME).ledger.is_late(late.id)


def test_commitments_are_taken_before_contributions_however_they_come(
    proceedings: Proceedings, round_: Signed[Round]
) -> None:
    offer = a_contribution(OTHER, round_)
    early = sign(a_commitment(offer), OTHER)
    proceedings.accept([early.envelope], COMMITTING)
    more = a_contribution(OTHER, round_, 1)
    both = [sign(more, OTHER).envelope, sign(a_commitment(more), OTHER).envelope]
    heard = proceedings.accept(both, REVEALING)
    assert [type(one.record) for one in heard.new] == [Commitment, Contribution]


def test_what_no_rule_allows_is_refused_with_its_reason_and_not_kept(
    proceedings: Proceedings, database: Database, round_: Signed[Round]
) -> None:
    early = sign(a_contribution(OTHER, round_), OTHER)
    elsewhere = sign(a_commitment(a_contribution(OTHER, a_round(OTHER))), OTHER)
    heard = proceedings.accept([early.envelope, elsewhere.envelope], COMMITTING)
    assert not heard.new
    assert {record_id for record_id, _ in heard.refused} == {early.id, elsewhere.id}
    assert database.envelope(early.id) is None
    assert not proceedings.knows(early.id)


def test_hearing_a_record_again_changes_nothing(proceedings: Proceedings, round_: Signed[Round]) -> None:
    said = sign(a_commitment(a_contribution(OTHER, round_)), OTHER)
    assert len(proceedings.accept([said.envelope], COMMITTING).new) == 1
    assert proceedings.accept([said.envelope], COMMITTING) == proceedings.accept([], COMMITTING)
    assert len(proceedings.log) == 1


def test_a_node_does_not_say_what_others_would_refuse(proceedings: Proceedings, round_: Signed[Round]) -> None:
    with pytest.raises(RuleError):
        proceedings.say(a_contribution(ME, round_), COMMITTING)
    assert not proceedings.own


def test_the_log_that_is_shown_is_signed_lists_everything_and_only_grows(
    proceedings: Proceedings, database: Database, round_: Signed[Round]
) -> None:
    sizes = []
    for salt in range(3):
        proceedings.say(a_commitment(a_contribution(ME, round_, salt)), COMMITTING)
        data = proceedings.log_blob()
        note = Reader(data, "a log", len(data)).field(4096)
        checkpoint = Checkpoint.open(note, log_key(round_.id, ME.public))
        assert data[len(note) + 4 :] == b"".join(proceedings.log.ids)
        assert database.note(round_.id) == note
        sizes.append(checkpoint.size)
    assert sizes == [1, 2, 3]


def test_a_round_that_nobody_told_of_cannot_be_opened(database: Database) -> None:
    with pytest.raises(UserError, match="follow it first"):
        Proceedings.open(bytes(32), database, ME)
