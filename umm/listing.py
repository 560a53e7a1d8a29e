"""Long lists in messages: the first few, and how many more there are."""

from collections.abc import Sequence

LISTED = 8
"""How many items a message names before it only counts the rest."""


def inline(items: Sequence[str]) -> str:
    """``a, b and 3 more``."""
    named = ", ".join(items[:LISTED])
    return f"{named} and {len(items) - LISTED} more" if len(items) > LISTED else named


def lines(items: Sequence[str]) -> str:
    """One item a line, indented."""
    rest = [f"and {len(items) - LISTED} more"] if len(items) > LISTED else []
    return "\n".join(f"  {item}" for item in (*items[:LISTED], *rest))
