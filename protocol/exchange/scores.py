"""What each peer of a download did so far, and what follows from it: how much to ask, how long to wait, when to stop.

Rules, with ``now`` in seconds:

1. A peer that sent one wrong byte is dropped, and stays dropped.
2. A peer that breaks a promise (a stream that ends early, no answer) rests, twice as long every time, and is given up
   after ``MAX_FAILURES`` in a row. A chunk that lands forgives them.
3. A peer without capacity rests as long as it asks, within bounds, and is given up after ``MAX_BUSY`` in a row.
4. A peer that brings nothing for its patience has stalled. Its patience begins at ``interface.STALL_SECONDS`` and
   doubles with every stall up to ``LONGEST_STALL_SECONDS``, so a slow peer is found out once and then waited for, and
   a dead one costs little. After ``MAX_STALLS`` in a row it is given up.
5. A peer that has not got what it is asked for, ``MAX_LACKED`` times in a row, is given up.
6. How much is asked at once follows the measured speed: about ``REQUEST_SECONDS`` of it.
7. A peer is proven once a chunk of it has landed, until it stalls. Proven peers are asked first (``scheduler``).
"""

from protocol.blobs.chunks import CHUNK_BYTES
from protocol.exchange.interface import STALL_SECONDS

LONGEST_STALL_SECONDS = 60.0
"""The patience with a peer known to be slow: one chunk in this time is the slowest that is used."""

MAX_STALLS = 4
"""Without a chunk between them."""

MAX_FAILURES = 4
"""Without a chunk between them."""

MAX_BUSY = 12
"""Without a chunk between them."""

MAX_LACKED = 64
"""Without a chunk between them."""

FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0
"""A peer may ask for less patience than this, not for more."""

RATE_WINDOW_SECONDS = 0.25
"""Speed is measured over at least this long while a peer has something to do."""

REQUEST_SECONDS = 1.0
"""What is asked of a peer at once takes it about this long."""

MAX_REQUEST_CHUNKS = 16
"""Chunks in one request."""

FIRST_REQUEST_CHUNKS = 2
"""Chunks in a request to a peer whose speed is not known."""

FAST_BYTES_PER_SECOND = 2 * CHUNK_BYTES
"""From here on a peer has two requests at a time, so that it is never idle for the length of a round trip."""


class Score:
    """One peer in one download."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rate: float | None = None
        """Bytes per second, or None before the first chunk."""
        self.landed_bytes = 0
        self.lost: str | None = None
        """Why nothing is asked of it any more."""
        self.news: list[tuple[bool, str]] = []
        """What went wrong and was not told yet; True if the peer is lost by it."""
        self.resting_until = float("-inf")
        self._trouble: str | None = None
        self._failures = self._busy = self._stalls = self._lacked = 0
        self._stalled_ever = 0
        self._active = 0
        self._mark = 0.0
        self._window = 0

    def usable(self, now: float) -> bool:
        """May something be asked of it now?"""
        return self.lost is None and self.resting_until <= now

    @property
    def proven(self) -> bool:
        """Did it bring something, and has it not stalled since?"""
        return self.landed_bytes > 0 and not self.has_stalled

    @property
    def has_stalled(self) -> bool:
        """Was a stall the last that came of asking it?"""
        return self._stalls > 0

    @property
    def rank(self) -> tuple[int, float]:
        """Less is better: proven before unproven ones, fast before slow ones, and last who stalled often."""
        return (0 if self.proven else 1 + self._stalls, -(self.rate or 0.0))

    @property
    def patience(self) -> float:
        """Seconds without a chunk that make a stall."""
        return min(STALL_SECONDS * (1 << self._stalled_ever), LONGEST_STALL_SECONDS)

    @property
    def share(self) -> int:
        """Chunks to ask for in one request."""
        if self.rate is None:
            return FIRST_REQUEST_CHUNKS
        return max(1, min(int(self.rate * REQUEST_SECONDS / CHUNK_BYTES), MAX_REQUEST_CHUNKS))

    @property
    def slots(self) -> int:
        """Requests for chunks that it may have at a time."""
        return 2 if self.rate is not None and self.rate >= FAST_BYTES_PER_SECOND else 1

    @property
    def verdict(self) -> str:
        """One line for a person: what came of asking this peer."""
        brought = f"brought {self.landed_bytes} bytes" if self.landed_bytes else "brought nothing"
        return f"{self.name}: {self.lost or self._trouble or 'nothing went wrong'} ({brought})"

    def started(self, now: float) -> None:
        """A request for chunks begins."""
        if self._active == 0:
            self._mark, self._window = now, 0
        self._active += 1

    def ended(self, now: float) -> None:
        """A request for chunks is over, however it went."""
        self._active -= 1
        if self._active == 0 and self._window:
            self._measure(now)

    def landed(self, size: int, now: float) -> None:
        """A right chunk came."""
        self.landed_bytes += size
        self._window += size
        self._failures = self._busy = self._stalls = self._lacked = 0
        if now - self._mark >= RATE_WINDOW_SECONDS:
            self._measure(now)

    def forged(self, reason: str) -> None:
        """It sent what it should not have: rule 1."""
        self.lose(f"dropped, {reason}")

    def broke(self, reason: str, now: float) -> None:
        """It broke a promise: rule 2."""
        self._failures += 1
        self._hinder(reason, FIRST_REST_SECONDS * 2 ** (self._failures - 1), now)
        if self._failures >= MAX_FAILURES:
            self.lose(f"given up after {self._failures} failures, the last one: {reason}")

    def busy(self, retry_after: float, now: float) -> None:
        """It has no capacity: rule 3."""
        self._busy += 1
        asked = retry_after if retry_after > 0 else 0.0  # not a number is no number
        self._hinder("is busy", max(asked, FIRST_REST_SECONDS * 2 ** (self._busy - 1)), now)
        if self._busy >= MAX_BUSY:
            self.lose(f"given up, was busy {self._busy} times in a row")

    def stalled(self, now: float) -> None:
        """It brought nothing for its patience: rule 4."""
        waited = self.patience
        self._stalls += 1
        self._stalled_ever += 1
        self._hinder(f"stalled, no chunk in {waited:.0f} s", FIRST_REST_SECONDS * 2**self._stalls, now)
        if self._stalls >= MAX_STALLS:
            self.lose(f"given up after {self._stalls} stalls, the last one of {waited:.0f} s")

    def lacked(self, now: float) -> None:
        """It did not bring a blob: rule 5."""
        self._lacked += 1
        self._hinder("does not have everything, or was not reached", 0.0, now)
        if self._lacked >= MAX_LACKED:
            self.lose(f"given up, {self._lacked} times in a row it did not have what was asked, or was not reached")

    def lose(self, reason: str) -> None:
        """Nothing is asked of it any more."""
        if self.lost is None:
            self.lost = reason
            self.news.append((True, reason))

    def _hinder(self, reason: str, rest_seconds: float, now: float) -> None:
        if self.lost is None and self._trouble != reason:
            self.news.append((False, reason))
        self._trouble = reason
        self.resting_until = max(self.resting_until, now + min(rest_seconds, LONGEST_REST_SECONDS))

    def _measure(self, now: float) -> None:
        passed = now - self._mark
        if passed <= 0:
            return
        sample = self._window / passed
        self.rate = sample if self.rate is None else (self.rate + sample) / 2
        self._mark, self._window = now, 0
