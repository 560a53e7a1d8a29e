"""Compiled counting of scores against brackets: one pass of the search for order statistics.

Like ``loops``: numba infers the types, and what calls one another is in one file because numba's cache notices only
changes of the file that a loop is in. Sums of small integers are cut back to 32 bits by name, because numba widens them
to 64, of which a vector register holds half as many.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from umm.kernels.unrolled import REGISTERS, unrolled

BLOCK = 1024
MOST_SEARCHES = 2  # at once; a window has two boundaries

compiled = njit(nogil=True, cache=True, error_model="numpy")


@cache
def counter(searches: int, plain: int, halves: int) -> Callable[..., Any]:
    """A loop that counts each key for so many searches, the first ``plain`` of them without popular keys.

    It takes the magnitudes of a bfloat16 expert minus a bfloat16 base, given as 16-bit integers (``halves`` 1), or
    ready keys in place of both (0). ``brackets`` holds (low, width, shift) of each search and ``popular`` two keys that
    are counted only, and put into their bins at the end. What lies above a bracket is added to ``above``; ``mixed``
    notes the bins that hold more than their own first bit pattern.
    """

    def passing(base, expert, brackets, popular, bins, mixed, above):
        least = most = first = second = larger = firsts = seconds = count = REGISTERS
        keys, found = np.empty(BLOCK, np.int32), np.empty((searches, BLOCK + 8), np.int32)
        inside, times = np.zeros(BLOCK, np.uint8), np.zeros((searches, 2), np.int64)
        eights = inside.view(np.uint64)
        for s in range(searches):
            least[s] = np.int32(max(brackets[s, 0], -(1 << 31)))
            most[s] = np.int32(min(brackets[s, 0] + brackets[s, 1] - 1, (1 << 31) - 1))
            first[s], second[s] = np.int32(popular[s, 0]), np.int32(popular[s, 1])
        for o in range(0, len(expert), BLOCK):
            lower, upper = base[o : o + BLOCK], expert[o : o + BLOCK]
            for s in range(searches):
                larger[s], firsts[s], seconds[s], count[s] = np.int32(0), np.int32(0), np.int32(0), 0
            for j in range(len(upper)):
                if halves:
                    b = np.uint32(np.uint32(lower[j]) << np.uint32(16)).view(np.float32)
                    d = abs(np.uint32(np.uint32(upper[j]) << np.uint32(16)).view(np.float32) - b)
                    key = np.float32(d).view(np.int32)
                else:
                    key = upper[j]
                keys[j], flags = key, np.uint8(0)
                for s in range(searches):
                    larger[s] = np.int32(larger[s] + np.int32(key > most[s]))
                    within = (key >= least[s]) & (key <= most[s])
                    if s >= plain:
                        firsts[s] = np.int32(firsts[s] + np.int32(key == first[s]))
                        seconds[s] = np.int32(seconds[s] + np.int32(key == second[s]))
                        within = within & (key != first[s]) & (key != second[s])
                    flags = np.uint8(flags | (np.uint8(within) << np.uint8(s)))
                inside[j] = flags
            for j in range(len(upper), (len(upper) + 7) // 8 * 8):
                inside[j] = 0
            for e in range((len(upper) + 7) // 8):
                if eights[e] != 0:  # seldom: few keys lie inside
                    which, group = inside[8 * e : 8 * e + 8], keys[8 * e : 8 * e + 8]
                    for i in range(8):  # a key that does not count is written over: there is nothing to guess wrong
                        for s in range(searches):
                            found[s, count[s]] = group[i]
                            count[s] += (which[i] >> s) & 1
            for s in range(searches):
                above[s] += larger[s]
                times[s, 0] += firsts[s]
                times[s, 1] += seconds[s]
                enter(found[s, : count[s]], brackets[s, 0], brackets[s, 2], bins[s], mixed[s])
        for s in range(searches):
            if s >= plain:
                add_popular(brackets[s, 0], brackets[s, 1], brackets[s, 2], popular[s], times[s], bins[s], mixed[s])

    given = {"searches": searches, "plain": plain, "halves": halves}
    return compiled(unrolled(passing, "_".join(["count", *map(str, given.values())]), **given))  # type: ignore[no-any-return]


@compiled
def enter(keys, low, shift, bins, mixed):
    """Put keys into their bins."""
    below_bin = np.int64((1 << shift) - 1)
    for j in range(len(keys)):
        place = np.int64(keys[j]) - low
        bins[np.uint64(place >> shift)] += 1
        if place & below_bin != 0:
            mixed[np.uint64(place >> shift)] = 1


@compiled
def add_popular(low, width, shift, popular, times, bins, mixed):
    """Put the keys that were only counted into their bins; one that is named twice was counted twice."""
    for p in range(2 if popular[0] != popular[1] else 1):
        place = popular[p] - low
        if times[p] > 0 and place >= 0 and place < width:
            bins[place >> shift] += times[p]
            if place & np.int64((1 << shift) - 1) != 0:
                mixed[place >> shift] = 1
