"""The processors that this process may use: fewer than the machine has in a container, under taskset or a scheduler."""

import os


def usable() -> int:
    """How many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
