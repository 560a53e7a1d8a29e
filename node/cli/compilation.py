"""Saying that loops are being compiled, when they are: it happens once on a machine and takes some seconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOTE = "compiling the loops for this machine, which happens once"


@contextmanager
def compilation_noted(say: Callable[[str], None]) -> Iterator[None]:
    """Call ``say`` when numba begins to compile; loops that it finds in its cache do not count."""
    try:
        from numba.core import event
    except ImportError:
        yield
        return

    class Note(event.Listener):  # type: ignore[misc]
        said = False

        def on_start(self, event: object) -> None:  # noqa: ARG002 - numba's interface
            if not self.said:
                self.said = True
                say(NOTE)

        def on_end(self, event: object) -> None:
            pass

    with event.install_listener("numba:compile", Note()):
        yield
