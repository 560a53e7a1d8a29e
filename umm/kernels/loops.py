"""Fused loops, compiled by numba on first use and cached. Blocks of 1024 elements stay in the first-level cache.

Each loop is a chain of simple passes over a block that LLVM turns into vector code. There is no fast-math: every
operation is one IEEE-754 step in the written order, as in ``portable``, which the tests hold it to bit for bit.

Arguments that recur: ``raw`` (inputs, bytes) the tile's bytes with ``codes`` for their types (0 bfloat16, 1 float16,
2 float32), the base in row 0; ``n`` elements from ``start``; ``out`` raw output bytes of type ``out_code``.

There are no annotations because numba infers types. It is one file because numba's cache notices only changes of the
file that a loop is in.
"""

import numpy as np
from numba import njit

BLOCK = 1024
LANES = 32
FOUR_ROWS = 4 * LANES
QUARTER = 128  # counters whose four words, cut in halves, are the random words of a block
PHILOX_ROUNDS = 7
RANK_BITS = 17
SLAB = 1 << 14  # elements that random words are drawn for at a time
FRACTION = 32  # bits behind the point of a threshold and of its step per half rank
INFINITE = 0x7F800000  # bits from which a float32 magnitude is infinite or NaN
INFINITE_HALF = 0x7C00


compiled = njit(nogil=True, cache=True, error_model="numpy")

ONE_BYTE = np.array([sum(((b >> i) & 1) << (8 * i) for i in range(8)) for b in range(256)], np.uint64)
GATHER_BITS = np.uint64(0x0102040810204080)  # times eight 0/1 bytes: their bits in the top byte


@compiled
def widen(raw, code, offset, m, out):
    """Elements ``offset .. offset + m`` as float32 into ``out``; returns whether any is NaN or infinite."""
    bits = out.view(np.uint32)
    top = np.uint32(0)
    if code == 0:
        half = raw.view(np.uint16)[offset : offset + m]
        for j in range(m):
            u = np.uint32(np.uint32(half[j]) << np.uint32(16))
            bits[j] = u
            top = max(top, np.uint32(u & np.uint32(0x7FFFFFFF)))
        return top >= np.uint32(INFINITE)
    if code == 1:
        half = raw.view(np.uint16)[offset : offset + m]
        for j in range(m):
            h = np.uint32(half[j])
            bits[j] = np.uint32((h & np.uint32(0x7FFF)) << np.uint32(13))
            top = max(top, np.uint32(h & np.uint32(0x7FFF)))
        for j in range(m):
            out[j] = out[j] * np.float32(2.0**112)
        for j in range(m):
            bits[j] = np.uint32(bits[j] | np.uint32((np.uint32(half[j]) & np.uint32(0x8000)) << np.uint32(16)))
        return top >= np.uint32(INFINITE_HALF)
    full = raw.view(np.uint32)[offset : offset + m]
    for j in range(m):
        u = full[j]
        bits[j] = u
        top = max(top, np.uint32(u & np.uint32(0x7FFFFFFF)))
    return top >= np.uint32(INFINITE)


@compiled
def narrow(values, code, offset, m, out):
    """Round ``values[:m]`` to nearest even into ``out`` from element ``offset``; returns whether any is not finite."""
    bits = values.view(np.uint32)
    top = np.uint32(0)
    if code == 0:
        half = out.view(np.uint16)[offset : offset + m]
        for j in range(m):
            u = bits[j]
            r = np.uint32((u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))
            half[j] = np.uint16(r)
            top = max(top, np.uint32(r & np.uint32(0x7FFF)))
        return top >= np.uint32(0x7F80)
    if code == 1:
        half = out.view(np.uint16)[offset : offset + m]
        small = np.empty(BLOCK, np.float32)
        small_bits = small.view(np.uint32)
        for j in range(m):
            small[j] = abs(values[j]) + np.float32(0.5)  # its last place is float16's least step
        for j in range(m):
            a = np.uint32(bits[j] & np.uint32(0x7FFFFFFF))
            odd = (a >> np.uint32(13)) & np.uint32(1)
            normal = np.uint32((a + np.uint32(0xFFF) + odd) >> np.uint32(13)) - np.uint32(0x1C000)
            tiny = small_bits[j] - np.uint32(0x3F000000)
            r = np.uint32(tiny) if a < np.uint32(0x38800000) else np.uint32(normal)
            r = min(r, np.uint32(INFINITE_HALF))
            half[j] = np.uint16(r | ((bits[j] >> np.uint32(16)) & np.uint32(0x8000)))
            top = max(top, r)
        return top >= np.uint32(INFINITE_HALF)
    full = out.view(np.uint32)[offset : offset + m]
    for j in range(m):
        u = bits[j]
        full[j] = u
        top = max(top, np.uint32(u & np.uint32(0x7FFFFFFF)))
    return top >= np.uint32(INFINITE)


@compiled
def absolute_sum(a, m, lanes, tail):
    """The canonical float64 block sum of |a|.

    Four rows of lanes at a time: one row at a time would store and reload every lane for each addition. ``lanes`` and
    ``tail`` are room for the lanes, and for four rows filled up with zeros.
    """
    for j in range(LANES):
        lanes[j] = 0.0
    whole = m // FOUR_ROWS * FOUR_ROWS
    for o in range(0, whole, FOUR_ROWS):
        r0, r1, r2, r3 = a[o : o + 32], a[o + 32 : o + 64], a[o + 64 : o + 96], a[o + 96 : o + 128]
        for j in range(LANES):
            s = (lanes[j] + np.float64(abs(r0[j]))) + np.float64(abs(r1[j]))
            lanes[j] = (s + np.float64(abs(r2[j]))) + np.float64(abs(r3[j]))
    return folded(lanes) if whole == m else absolute_tail(lanes, filled_up(a[whole:m], tail[0]))


@compiled
def absolute_tail(lanes, rest):
    """The sum with four more rows."""
    for o in range(0, FOUR_ROWS, LANES):
        row = rest[o : o + LANES]
        for j in range(LANES):
            lanes[j] += np.float64(abs(row[j]))
    return folded(lanes)


@compiled
def product_sum(a, b, m, lanes, tail):
    """The canonical float64 block sum of a * b, in the same way."""
    for j in range(LANES):
        lanes[j] = 0.0
    whole = m // FOUR_ROWS * FOUR_ROWS
    for o in range(0, whole, FOUR_ROWS):
        x0, x1, x2, x3 = a[o : o + 32], a[o + 32 : o + 64], a[o + 64 : o + 96], a[o + 96 : o + 128]
        y0, y1, y2, y3 = b[o : o + 32], b[o + 32 : o + 64], b[o + 64 : o + 96], b[o + 96 : o + 128]
        for j in range(LANES):
            s = (lanes[j] + np.float64(x0[j]) * np.float64(y0[j])) + np.float64(x1[j]) * np.float64(y1[j])
            lanes[j] = (s + np.float64(x2[j]) * np.float64(y2[j])) + np.float64(x3[j]) * np.float64(y3[j])
    if whole == m:
        return folded(lanes)
    return product_tail(lanes, filled_up(a[whole:m], tail[0]), filled_up(b[whole:m], tail[1]))


@compiled
def product_tail(lanes, a, b):
    """The sum with four more rows."""
    for o in range(0, FOUR_ROWS, LANES):
        x, y = a[o : o + LANES], b[o : o + LANES]
        for j in range(LANES):
            lanes[j] += np.float64(x[j]) * np.float64(y[j])
    return folded(lanes)


@compiled
def filled_up(values, room):
    """The values, and zeros behind them."""
    room[: len(values)] = values
    room[len(values) :] = 0
    return room


@compiled
def folded(lanes):
    """The sum of the lanes, by halves."""
    width = LANES // 2
    while width > 0:
        for j in range(width):
            lanes[j] += lanes[width + j]
        width //= 2
    return lanes[0]


@compiled
def delta_block(raw, codes, has_base, k, offset, m, base, out):
    """Expert k minus the (already widened) base into ``out``; returns whether the expert is not finite."""
    row = k + 1 if has_base else k
    bad = widen(raw[row], codes[row], offset, m, out)
    if has_base:
        for j in range(m):
            out[j] = out[j] - base[j]
    return bad


@compiled
def direct_block(lower, upper, lower_code, upper_code, offset, m, scratch, out):
    """Bytes of an expert minus those of the base into ``out``: in one pass if both are bfloat16."""
    if lower_code == 0 and upper_code == 0:
        below, above = lower.view(np.uint16)[offset : offset + m], upper.view(np.uint16)[offset : offset + m]
        for j in range(m):
            b = np.uint32(np.uint32(below[j]) << np.uint32(16)).view(np.float32)
            out[j] = np.uint32(np.uint32(above[j]) << np.uint32(16)).view(np.float32) - b
        return
    widen(lower, lower_code, offset, m, scratch)
    widen(upper, upper_code, offset, m, out)
    for j in range(m):
        out[j] = out[j] - scratch[j]


@compiled
def variance_block(deltas, m, mean, out):
    """Population variance across experts, of differences from the first: equal deltas have none, exactly."""
    experts, origin = np.float32(len(deltas)), deltas[0]
    for j in range(m):
        mean[j] = np.float32(0)
        out[j] = np.float32(0)
    for d in range(len(deltas)):
        delta = deltas[d]
        for j in range(m):
            mean[j] += delta[j] - origin[j]
    for j in range(m):
        mean[j] = mean[j] / experts
    for d in range(len(deltas)):
        delta = deltas[d]
        for j in range(m):
            difference = (delta[j] - origin[j]) - mean[j]
            out[j] += difference * difference
    for j in range(m):
        v = out[j] / experts
        out[j] = v if v == v else np.float32(np.inf)  # deltas so large that squares overflow: one key on all machines


@compiled
def magnitudes(raw, codes, has_base, n, of_variance, out):
    """Bits of every expert's |delta|, or of the variance across experts, (rows, n)."""
    experts = len(codes) - 1 if has_base else len(codes)
    base, score = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    deltas = np.empty((experts, BLOCK), np.float32)
    bits = score.view(np.int32)
    for o in range(0, n, BLOCK):
        m = min(BLOCK, n - o)
        if has_base:
            widen(raw[0], codes[0], o, m, base)
        for k in range(experts):
            delta_block(raw, codes, has_base, k, o, m, base, deltas[k])
        if of_variance:
            variance_block(deltas, m, base, score)
            part = out[0, o : o + m]
            for j in range(m):
                part[j] = bits[j]
        else:
            for k in range(experts):
                delta, part = deltas[k], out[k, o : o + m].view(np.float32)
                for j in range(m):
                    part[j] = abs(delta[j])


@compiled
def gram(raw, codes, deltas, n, row, out):
    """Block sums of products of inputs (or, with ``deltas``, of experts minus base), (pairs, blocks)."""
    inputs = len(codes) - 1 if deltas else len(codes)
    base = np.empty(BLOCK, np.float32)
    values = np.empty((inputs, BLOCK), np.float32)
    lanes, tail = np.empty(LANES, np.float64), np.empty((2, FOUR_ROWS), np.float32)
    block = 0
    for line in range(0, n, row):
        for o in range(line, line + row, BLOCK):
            m = min(BLOCK, line + row - o)
            if deltas:
                widen(raw[0], codes[0], o, m, base)
            for k in range(inputs):
                delta_block(raw, codes, deltas, k, o, m, base, values[k])
            pair = 0
            for i in range(inputs):
                for j in range(i, inputs):
                    out[pair, block] = product_sum(values[i], values[j], m, lanes, tail)
                    pair += 1
            block += 1


@compiled
def unpack(bits, position, m, flags):
    """Bits from ``position`` on as 0/1 bytes."""
    if position & 7 == 0:
        wide = flags.view(np.uint64)
        first = position >> 3
        for i in range((m + 7) >> 3):
            wide[i] = ONE_BYTE[bits[first + i]]
        return
    for j in range(m):
        flags[j] = (bits[(position + j) >> 3] >> ((position + j) & 7)) & 1


@compiled
def passes(scores, m, edge, limit, seen, flags):
    """Set flags of |scores| before a boundary: larger, or equal and among the first ``limit``."""
    place = seen
    for j in range(m):
        equal = abs(scores[j]) == edge
        flags[j] = np.uint8((abs(scores[j]) > edge) | (equal & (place < limit)))
        place += equal


@compiled
def keep_window(values, m, k, edges, limits, first, last):
    """Set to zero the values whose magnitude is outside window k; advances the tie counters.

    ``edges`` holds for each boundary the score and the next larger float. Unless a boundary's quota of ties ends
    within this block, a block is done by comparing with one of the two.
    """
    high, low = edges[0, 0, k], edges[1, 0, k]
    ties_first, ties_last = np.int32(0), np.int32(0)
    for j in range(m):
        ties_last = np.int32(ties_last + np.int32(abs(values[j]) == low))  # += would widen it to 64 bits
    if high < np.inf:
        for j in range(m):
            ties_first = np.int32(ties_first + np.int32(abs(values[j]) == high))
    all_first, all_last = first[k] + ties_first <= limits[0, k], last[k] + ties_last <= limits[1, k]
    if (all_first or first[k] >= limits[0, k]) and (all_last or last[k] >= limits[1, k]):
        bound = high if all_first else edges[0, 1, k]
        least = low if all_last else edges[1, 1, k]
        for j in range(m):
            score = abs(values[j])
            values[j] = values[j] if (score >= least) & (score < bound) else np.float32(0)
    else:
        dropped, kept = np.empty(m, np.uint8), np.empty(m, np.uint8)
        passes(values, m, high, limits[0, k], first[k], dropped)
        passes(values, m, low, limits[1, k], last[k], kept)
        for j in range(m):
            values[j] = values[j] if (kept[j] != 0) & (dropped[j] == 0) else np.float32(0)
    first[k] += ties_first
    last[k] += ties_last


@compiled
def thin(start, o, m, mode, edges, limits, first, last, bits, deltas, score, mean, flags):
    """Set to zero what the form drops from one block of all experts' deltas."""
    if mode == 3:
        variance_block(deltas, m, mean, score)
        keep_window(score, m, 0, edges, limits, first, last)  # no window on variance keeps a zero
        for k in range(len(deltas)):
            delta = deltas[k]
            for j in range(m):
                delta[j] = delta[j] if score[j] != 0 else np.float32(0)
    elif mode == 1:
        for k in range(len(deltas)):
            keep_window(deltas[k], m, k, edges, limits, first, last)
    elif mode == 2:
        for k in range(len(deltas)):
            delta = deltas[k]
            unpack(bits[k], start + o, m, flags)
            for j in range(m):
                delta[j] = delta[j] if flags[j] != 0 else np.float32(0)


@compiled
def mass(delta, m, squares, lanes, tail):
    """The block sum of |delta| or its square."""
    return product_sum(delta, delta, m, lanes, tail) if squares else absolute_sum(delta, m, lanes, tail)


@compiled
def masses(raw, codes, start, n, row, whole, squares, mode, edges, limits, first, last, bits, out):
    """Block sums of |delta| or its square before (rows 0..K) and after thinning (rows K..2K)."""
    experts = len(codes) - 1
    base, score, mean = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    deltas = np.empty((experts, BLOCK), np.float32)
    flags = np.empty(BLOCK, np.uint8)
    lanes, tail = np.empty(LANES, np.float64), np.empty((2, FOUR_ROWS), np.float32)
    block = 0
    for line in range(0, n, row):
        for o in range(line, line + row, BLOCK):
            m = min(BLOCK, line + row - o)
            widen(raw[0], codes[0], o, m, base)
            for k in range(experts):
                delta_block(raw, codes, True, k, o, m, base, deltas[k])
                if whole:
                    out[k, block] = mass(deltas[k], m, squares, lanes, tail)
            thin(start, o, m, mode, edges, limits, first, last, bits, deltas, score, mean, flags)
            for k in range(experts):
                out[experts + k, block] = mass(deltas[k], m, squares, lanes, tail)
            block += 1


@compiled
def philox(key_low, key_high, block, words):
    """The 1024 random halves of one block of elements, in element order, as 512 words."""
    mask = np.uint64(0xFFFFFFFF)
    for i in range(QUARTER):
        counter = np.uint64(block * QUARTER + i)
        c0, c1, c2, c3 = counter & mask, counter >> np.uint64(32), np.uint64(0), np.uint64(0)
        k0, k1 = np.uint64(key_low), np.uint64(key_high)
        for _ in range(PHILOX_ROUNDS):
            p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
            c0, c2 = (p1 >> np.uint64(32)) ^ c1 ^ k0, (p0 >> np.uint64(32)) ^ c3 ^ k1
            c1, c3 = p1 & mask, p0 & mask
            k0, k1 = (k0 + np.uint64(0x9E3779B9)) & mask, (k1 + np.uint64(0xBB67AE85)) & mask
        words[i] = np.uint32(c0)
        words[QUARTER + i] = np.uint32(c1)
        words[2 * QUARTER + i] = np.uint32(c2)
        words[3 * QUARTER + i] = np.uint32(c3)


@compiled
def class_thresholds(delta, low, step, row, classes, counts, ranks, thresholds):
    """Each element's magnitude class, and each class's keep threshold from the mean rank of its members.

    ``classes`` has room for a multiple of four, the last ones zero. They are counted four to a load: loads and stores
    are what this takes.
    """
    fours, mask = classes.view(np.uint64), np.uint64(0xFFFF)
    bits = delta.view(np.uint32)
    least, most = np.uint16(0xFFFF), np.uint16(0)
    for j in range(row):
        c = np.uint16((bits[j] & np.uint32(0x7FFFFFFF)) >> np.uint32(RANK_BITS))
        classes[j] = c
        most = max(most, c)
        least = min(least, np.uint16(c - np.uint16(1)))  # zero wraps around: it is counted apart
    first = np.int64(least) + 1
    here, limits = counts[first : np.int64(most) + 1], thresholds[first : np.int64(most) + 1]
    here[:] = 0
    counts[0] = 0
    for i in range(len(fours)):
        c = fours[i]
        counts[c & mask] += 1
        counts[(c >> np.uint64(16)) & mask] += 1
        counts[(c >> np.uint64(32)) & mask] += 1
        counts[c >> np.uint64(48)] += 1
    below, nearest = counts[0] - (len(classes) - row), (low << FRACTION) + (1 << (FRACTION - 1))
    thresholds[0] = np.uint16((nearest + step * (below - 1)) >> FRACTION)
    for c in range(len(here)):  # apart from what follows: only this depends on the class before
        ranks[c] = 2 * below + here[c] - 1
        below += here[c]
    for c in range(len(here)):
        limits[c] = np.uint16((nearest + step * ranks[c]) >> FRACTION)


@compiled
def choose(drawn, classes, thresholds, wanted, chosen):
    """Whether each random word is below its class's threshold, as 0/1 bytes; ``wanted`` is room for a row of them.

    Both ``classes`` and ``wanted`` have room for a multiple of four; four classes are loaded at a time.
    """
    fours, mask = classes.view(np.uint64), np.uint64(0xFFFF)
    for i in range(len(fours)):
        c, four = fours[i], wanted[4 * i : 4 * i + 4]
        four[0], four[1] = thresholds[c & mask], thresholds[(c >> np.uint64(16)) & mask]
        four[2], four[3] = thresholds[(c >> np.uint64(32)) & mask], thresholds[c >> np.uint64(48)]
    for j in range(len(drawn)):
        chosen[j] = drawn[j] < wanted[j]


@compiled
def draw(lower, upper, lower_code, upper_code, start, n, row, key_low, key_high, low, step, bits, whole, kept):
    """Set the bits of the elements of an expert that are kept; block sums of |delta| into ``whole`` and ``kept``.

    Some rows at a time, so that their random words stay in the cache.
    """
    some = max(1, SLAB // row) * row
    words, flags = np.empty((some // BLOCK + 2) * BLOCK // 2, np.uint32), np.empty(some + 16, np.uint8)
    halves = words.view(np.uint16)
    base, delta = np.empty(BLOCK, np.float32), np.empty(row + BLOCK, np.float32)
    classes = np.zeros((row + 3) // 4 * 4, np.uint16)
    wanted = np.empty(len(classes), np.uint16)
    lanes, tail = np.empty(LANES, np.float64), np.empty((2, FOUR_ROWS), np.float32)
    counts = np.zeros(1 << (31 - RANK_BITS), np.int64)
    ranks, thresholds = np.empty(len(counts), np.int64), np.zeros(len(counts), np.uint16)
    block = 0
    for place in range(0, n, some):
        count, position = min(some, n - place), start + place
        lead = position & (BLOCK - 1)
        for b in range((lead + count + BLOCK - 1) // BLOCK):
            philox(key_low, key_high, (position >> 10) + b, words[b * BLOCK // 2 : (b + 1) * BLOCK // 2])
        flags[count:] = 0
        for line in range(0, count, row):
            for o in range(0, row, BLOCK):
                m = min(BLOCK, row - o)
                direct_block(lower, upper, lower_code, upper_code, place + line + o, m, base, delta[o : o + BLOCK])
            chosen, drawn = flags[line : line + row], halves[lead + line : lead + line + row]
            if step != 0:
                class_thresholds(delta, low, step, row, classes, counts, ranks, thresholds)
                choose(drawn, classes, thresholds, wanted, chosen)
            else:
                for j in range(row):
                    chosen[j] = np.int64(drawn[j]) < low
            for o in range(0, row, BLOCK):
                m = min(BLOCK, row - o)
                part, here = delta[o : o + BLOCK], chosen[o : o + m]
                whole[block] = absolute_sum(part, m, lanes, tail)
                for j in range(m):
                    part[j] = part[j] if here[j] != 0 else np.float32(0)
                kept[block] = absolute_sum(part, m, lanes, tail)
                block += 1
        pack(flags, position, count, bits)


@compiled
def pack(flags, start, n, bits):
    """Set bits ``start .. start + n`` from 0/1 bytes; ``flags`` has at least seven bytes of zeros behind."""
    if start & 7 == 0:
        wide = flags[: n // 8 * 8 + 8].view(np.uint64)
        first = start >> 3
        for i in range((n + 7) >> 3):
            bits[first + i] |= np.uint8((wide[i] * GATHER_BITS) >> np.uint64(56))
        return
    for j in range(n):
        bits[(start + j) >> 3] |= np.uint8(flags[j] << np.uint8((start + j) & 7))


@compiled
def blend(raw, codes, deltas, n, coefficients, divide, divisor, out_code, out):
    """Weighted sum of inputs in order; with ``deltas``, of experts minus base, plus base."""
    base, value, total = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    bad = np.int64(0)
    for o in range(0, n, BLOCK):
        m = min(BLOCK, n - o)
        if deltas:
            bad |= np.int64(widen(raw[0], codes[0], o, m, base))
        for k in range(len(coefficients)):
            c = coefficients[k]
            row = k + 1 if deltas else k
            bad |= np.int64(delta_block(raw, codes, deltas, k, o, m, base, value)) << row
            if k == 0:
                for j in range(m):
                    total[j] = value[j] * c
            else:
                for j in range(m):
                    total[j] += value[j] * c
        if divide:
            for j in range(m):
                total[j] = total[j] / divisor
        if deltas:
            for j in range(m):
                total[j] = base[j] + total[j]
        bad |= np.int64(narrow(total, out_code, o, m, out)) << 31
    return bad


@compiled
def mix(
    raw, codes, start, begin, n, mode, edges, limits, first, last, bits,
    weights, rescaled, rescale, elect, divide, floor, divisor, scale, out_code, out,
):  # fmt: skip
    """Thin out, rescale, weigh, elect signs, sum, divide, scale, add to the base; elements begin .. begin + n."""
    experts = len(codes) - 1
    base, score, mean = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    total, share, vote = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    deltas = np.empty((experts, BLOCK), np.float32)
    flags = np.empty(BLOCK, np.uint8)
    zero, one = np.float32(0), np.float32(1)
    bad = np.int64(0)
    for o in range(begin, begin + n, BLOCK):
        m = min(BLOCK, begin + n - o)
        bad |= np.int64(widen(raw[0], codes[0], o, m, base))
        for k in range(experts):
            bad |= np.int64(delta_block(raw, codes, True, k, o, m, base, deltas[k])) << (k + 1)
        thin(start, o, m, mode, edges, limits, first, last, bits, deltas, score, mean, flags)
        for j in range(m):
            vote[j] = zero
            total[j] = zero
            share[j] = zero
        for k in range(experts):
            d, w = deltas[k], weights[k]
            if rescaled:
                r = rescale[k]
                for j in range(m):
                    d[j] = d[j] * r
            if elect == 2:
                for j in range(m):
                    vote[j] += d[j]
                    d[j] = d[j] * w
            elif elect == 0:
                for j in range(m):
                    total[j] += d[j] * w
            elif elect == 1:
                for j in range(m):
                    v = d[j] * w
                    d[j] = v
                    vote[j] += v
            else:
                for j in range(m):
                    v = d[j] * w
                    d[j] = v
                    vote[j] += one if v > zero else (-one if v < zero else zero)
        if elect != 0:
            for j in range(m):
                vote[j] = one if vote[j] >= zero else -one
            for k in range(experts):
                d, w = deltas[k], weights[k]
                for j in range(m):
                    agrees = d[j] * vote[j] > zero
                    total[j] += d[j] if agrees else zero
                    share[j] += w if agrees else zero
            if divide:
                for j in range(m):
                    s = max(share[j], floor) if floor > zero else share[j]
                    total[j] = total[j] / (one if s == zero else s)
        elif divide:
            for j in range(m):
                total[j] = total[j] / divisor
        for j in range(m):
            total[j] = base[j] + total[j] * scale
        bad |= np.int64(narrow(total, out_code, o, m, out)) << 31
    return bad
