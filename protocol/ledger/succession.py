"""Whether a Revision follows from the Result or Revision before it: its roster, without what was taken out.

Nothing may be: then only the merge is corrected.
"""

from collections.abc import Iterator

from protocol.errors import RuleError
from protocol.ledger.rules import Rule
from protocol.records import Outcome, Revision, Roster


def check_succession(revision: Revision, previous: Outcome, before: Roster, after: Roster) -> None:
    """Refuse a Revision that is not the next after ``previous``; the rosters are those that the two name.

    That both are final is another question: see `quorum`.
    """
    if wrong := list(_faults(revision, previous, before, after)):
        raise RuleError(Rule.SUCCESSION, f"revision {revision.number} does not follow: {'; '.join(wrong)}")


def _faults(revision: Revision, previous: Outcome, before: Roster, after: Roster) -> Iterator[str]:
    was, removed = set(before.contributions), set(revision.removed)
    if revision.previous != previous.id or revision.round != previous.round:
        yield "it names another predecessor"
    if revision.number != previous.number + 1:
        yield f"its number is {revision.number} after {previous.number}"
    if (before.id, after.id) != (previous.roster, revision.roster):
        yield "the rosters are not those that the two records name"
    if not removed <= was:
        yield "it removes what was not in"
    if set(after.contributions) != was - removed:
        yield "its roster is not the one before without what it removes"
