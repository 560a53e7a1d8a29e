"""What an audit of some tensors is worth: how likely it is that a cheat is not among those that were drawn.

``k`` of ``n`` tensors are drawn without replacement, each set of ``k`` as likely as any other. A cheat that touched
``m`` of them is missed with the probability C(n − m, k) / C(n, k). For many tensors this is near (1 − p)^k with p = m
/ n, and never above it.

Every tensor counts the same, however large it is: whoever lies about one small tensor in a thousand is caught by an
audit of ten in one case of a hundred. Only recomputing everything finds him for certain.
"""

from math import comb

from node.verify.report import Chance

PERCENTS = (1, 5, 10, 50)
"""Cheats that a report speaks of, by the share of the tensors that they touch."""


def missed(count: int, touched: int, drawn: int) -> float:
    """The probability that none of ``drawn`` tensors out of ``count`` is one of the ``touched``."""
    if not (0 <= touched <= count and 0 <= drawn <= count):
        raise ValueError(f"cannot draw {drawn} or touch {touched} of {count} tensors")
    return comb(count - touched, drawn) / comb(count, drawn)


def touched_by(percent: int, count: int) -> int:
    """Tensors that a cheat touches who touches this share, rounded up: at least one."""
    return min(count, max(1, -(-percent * count // 100)))


def chances(count: int, drawn: int) -> tuple[Chance, ...]:
    """What a report says about an audit."""
    sizes = ((percent, touched_by(percent, count)) for percent in PERCENTS)
    return tuple(Chance(percent / 100, touched, missed(count, touched, drawn)) for percent, touched in sizes)
