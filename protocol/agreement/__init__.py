"""How stewards agree on one roster, although some of them lie. `docs/protocol/agreement.md` is the specification.

`leaders` whose turn it is · `attempts` how long a turn lasts · `minutes` what was said about one revision · `rosters`
which roster ballots and timeouts justify · `situation` what a steward knows beside the ledger · `duties` what it says
next · `decision` what was decided.

Pure: no I/O, no clock, and no memory. Everything follows from the ledger, so a steward that was killed goes on where it
was, and never answers a question twice.
"""

from protocol.agreement.decision import decision
from protocol.agreement.duties import duties, wake
from protocol.agreement.leaders import leader
from protocol.agreement.situation import Duty, Fetch, Keep, Say, Situation

__all__ = [
    "Duty",
    "Fetch",
    "Keep",
    "Say",
    "Situation",
    "decision",
    "duties",
    "leader",
    "wake",
]
