"""A Revision is the roster before it, without what it removes."""

from dataclasses import replace

import pytest

from protocol.errors import RuleError
from protocol.ledger import Rule, check_succession
from protocol.records import Revision, Roster
from tests.protocol.records.examples import digest, result, revision

IDS = tuple(sorted(digest(name) for name in "abcd"))
BEFORE, AFTER = Roster(IDS), Roster(IDS[1:])
FIRST = replace(result(11, 11, 12, 13).record, roster=BEFORE.id)
NEXT = replace(revision(11, 11, 12, 13).record, previous=FIRST.id, roster=AFTER.id, removed=IDS[:1])


@pytest.mark.must("LED-24")
def test_a_revision_follows_a_result_and_another_revision_follows_it() -> None:
    check_succession(NEXT, FIRST, BEFORE, AFTER)
    later = Roster(IDS[2:])
    second = replace(NEXT, revision=2, previous=NEXT.id, roster=later.id, removed=IDS[1:2])
    check_succession(second, NEXT, AFTER, later)


@pytest.mark.must("LED-24")
def test_a_revision_that_removes_nothing_corrects_the_merge_of_the_same_roster() -> None:
    corrected = replace(NEXT, roster=BEFORE.id, removed=(), reason="the merge was wrong")
    assert b"removed" not in corrected.payload()
    check_succession(corrected, FIRST, BEFORE, BEFORE)
    with pytest.raises(RuleError, match="without what it removes"):
        check_succession(replace(corrected, roster=AFTER.id), FIRST, BEFORE, AFTER)


@pytest.mark.must("LED-24")
@pytest.mark.parametrize(
    ("made", "after", "says"),
    [
        (replace(NEXT, previous=digest("another")), AFTER, "another predecessor"),
        (replace(NEXT, round=digest("another")), AFTER, "another predecessor"),
        (replace(NEXT, revision=2), AFTER, "number is 2 after 0"),
        (replace(NEXT, roster=digest("another")), AFTER, "not those that the two records name"),
        (replace(NEXT, removed=(digest("e"),)), AFTER, "removes what was not in"),
        (replace(NEXT, roster=Roster(IDS[2:]).id), Roster(IDS[2:]), "without what it removes"),
        (replace(NEXT, roster=BEFORE.id), BEFORE, "without what it removes"),
    ],
    ids=["predecessor", "round", "number", "roster", "stranger", "one too many", "none"],
)
def test_a_revision_that_does_not_follow_is_refused(made: Revision, after: Roster, says: str) -> None:
    with pytest.raises(RuleError, match=says) as caught:
        check_succession(made, FIRST, BEFORE, after)
    assert caught.value.rule is Rule.SUCCESSION
