"""How a report writes its numbers; a dash where there is none."""

DASH = "–"


def decimal(value: float | None, digits: int = 4) -> str:
    """A ratio or a length: fixed point while that shows something, scientific below."""
    if value is None:
        return DASH
    if value == 0:
        return "0"
    small = abs(value) < 5 * 10.0**-digits
    return f"{value:.1e}" if small or abs(value) >= 1e5 else f"{value:.{digits}f}"


def angle(value: float | None) -> str:
    """A cosine, with its sign."""
    return DASH if value is None else f"{value:+.3f}".replace("-0.000", "+0.000")


def percent(value: float | None) -> str:
    """A share of one, as a percentage that reaches 0 and 100 only when exact."""
    if value is None:
        return DASH
    if value in (0, 1):
        return f"{value:.0%}"
    return f"{min(max(100 * value, 0.1), 99.9):.1f}%"


def count(value: float | None) -> str:
    """A count that may be a mean."""
    return DASH if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
