"""Compiled counting of scores against a bracket: one pass of the search for an order statistic.

Like ``loops``: numba infers the types, and what calls one another is in one file because numba's cache notices only
changes of the file that a loop is in.
"""

import numpy as np
from numba import njit

BLOCK = 1024

compiled = njit(nogil=True, cache=True, error_model="numpy")


@compiled
def tally(part, low, width, shift, popular, times, inside, bins, mixed):
    """Count one block of keys; returns how many lie above the bracket."""
    m = len(part)
    eights = inside.view(np.uint64)
    least, most = np.int32(max(low, -(1 << 31))), np.int32(min(low + width - 1, (1 << 31) - 1))
    below_bin = np.int64((1 << shift) - 1)
    larger = np.int32(0)
    if len(popular) == 0:
        for j in range(m):
            larger += np.int32(part[j] > most)
        for j in range(m):
            inside[j] = np.uint8((part[j] >= least) & (part[j] <= most))
    else:
        first, second = np.int32(popular[0]), np.int32(popular[-1])
        firsts, seconds = np.int32(0), np.int32(0)
        for j in range(m):
            key = part[j]
            larger += np.int32(key > most)
            firsts += np.int32(key == first)
            seconds += np.int32(key == second)
        for j in range(m):
            key = part[j]
            inside[j] = np.uint8((key >= least) & (key <= most) & (key != first) & (key != second))
        times[0] += firsts
        times[1] += seconds  # of no account when there is one popular key only
    for j in range(m, (m + 7) // 8 * 8):
        inside[j] = 0
    for e in range((m + 7) // 8):  # few keys lie inside, so most groups of eight are skipped
        if eights[e] != 0:
            for j in range(8 * e, 8 * e + 8):
                if inside[j] != 0:
                    place = np.int64(part[j]) - low
                    bins[np.uint64(place >> shift)] += 1
                    if place & below_bin != 0:
                        mixed[np.uint64(place >> shift)] = 1
    return larger


@compiled
def add_popular(low, width, shift, popular, times, bins, mixed):
    """Put the keys that were only counted into their bins."""
    for p in range(len(popular)):
        place = popular[p] - low
        if times[p] > 0 and place >= 0 and place < width:
            bins[place >> shift] += times[p]
            if place & np.int64((1 << shift) - 1) != 0:
                mixed[place >> shift] = 1


@compiled
def count(keys, low, width, shift, popular, bins, mixed):
    """Histogram keys within a bracket into ``bins``; keys equal to a ``popular`` one (two at most) are only counted.

    Returns how many lie above it. ``mixed`` notes the bins that hold more than their own first bit pattern.
    """
    inside, times, above = np.zeros(BLOCK, np.uint8), np.zeros(2, np.int64), 0
    for o in range(0, len(keys), BLOCK):
        above += tally(keys[o : o + BLOCK], low, width, shift, popular, times, inside, bins, mixed)
    add_popular(low, width, shift, popular, times, bins, mixed)
    return above


@compiled
def count_halves(base, expert, brackets, popular, bins, mixed, above):
    """The same for the magnitudes of a bfloat16 expert minus a bfloat16 base, given as 16-bit integers.

    Any number of brackets at once: (low, width, shift) each in ``brackets``, what lies above added to ``above``.
    """
    inside, times = np.zeros(BLOCK, np.uint8), np.zeros((len(bins), 2), np.int64)
    keys = np.empty(BLOCK, np.int32)
    magnitudes = keys.view(np.float32)
    for o in range(0, len(base), BLOCK):
        lower, upper = base[o : o + BLOCK], expert[o : o + BLOCK]
        for j in range(len(lower)):
            b = np.uint32(np.uint32(lower[j]) << np.uint32(16)).view(np.float32)
            magnitudes[j] = abs(np.uint32(np.uint32(upper[j]) << np.uint32(16)).view(np.float32) - b)
        part = keys[: len(lower)]
        for s in range(len(bins)):
            low, width, shift = brackets[s]
            above[s] += tally(part, low, width, shift, popular[s], times[s], inside, bins[s], mixed[s])
    for s in range(len(bins)):
        low, width, shift = brackets[s]
        add_popular(low, width, shift, popular[s], times[s], bins[s], mixed[s])
