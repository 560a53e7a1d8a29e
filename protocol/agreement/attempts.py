"""How long an attempt lasts: longer each time, so that some attempt is long enough for the network as it is.

Nobody knows the delays beforehand. An attempt of ``DELAYS`` times the longest delay, led by an honest steward, decides.
The first lasts ``FIRST_SECONDS``, or less where the schedule is tight: as many attempts as it takes to pass all liars,
and one more, fit into a share of the time before ``roster_closes``.
"""

from dataclasses import dataclass
from typing import Self

FIRST_SECONDS = 30.0
"""Of the first attempt: enough for polling every second and slow links."""

SHORTEST_SECONDS = 2.0
"""However tight the schedule is."""

LONGEST_SECONDS = 3600.0
"""However often it failed."""

GROWTH = 1.5
"""An attempt is this much longer than the one before."""

WINDOW_SHARE = 2 / 3
"""Of the time until ``roster_closes``; the rest is for stewards that are not ready when it begins."""

PATIENCE = 1 / 3
"""Share of an attempt for which its leader waits for all stewards before it goes on with a quorum of them."""

DELAYS = 9
"""An attempt that lasts this many times the longest delay is long enough. Three pass while its leader waits: others
enter, what they say is heard, the rosters that it names are fetched. Its share is a third; of the six in the other two
thirds five are needed: its clock may be one behind, its proposal is heard, what that names is fetched, and the votes of
both stages are heard."""


@dataclass(frozen=True)
class Pace:
    """``first``: seconds of attempt 0."""

    first: float

    @classmethod
    def of(cls, faults: int, began: float, ends: float | None) -> Self:
        """For a round in which ``faults`` stewards may lie; ``ends`` is when stewards stop signing, if ever."""
        if ends is None:
            return cls(FIRST_SECONDS)
        needed = sum(GROWTH**attempt for attempt in range(faults + 2))
        return cls(max(SHORTEST_SECONDS, min(FIRST_SECONDS, WINDOW_SHARE * (ends - began) / needed)))

    def seconds(self, attempt: int) -> float:
        """How long this attempt lasts."""
        return min(LONGEST_SECONDS, self.first * GROWTH**attempt)

    def patience(self, attempt: int) -> float:
        """How long its leader waits for those who are slow."""
        return PATIENCE * self.seconds(attempt)
