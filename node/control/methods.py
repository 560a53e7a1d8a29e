"""What :class:`Node` offers, as a table: it follows from the types there, so that nothing has to be said twice."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from node.control.interface import Node


@dataclass(frozen=True)
class Method:
    """One thing that a node can be asked."""

    name: str
    order: type[Any] | None
    """The class of its argument, if it takes one."""
    answers: tuple[type[Any], ...]
    """The class of its answer; those of what it streams; none if it answers nothing."""
    streamed: bool

    @property
    def wire_name(self) -> str:
        """What gRPC calls it: ``ShowRound``."""
        return self.name.title().replace("_", "")


def _method(name: str) -> Method:
    hints = get_type_hints(getattr(Node, name))
    answer = hints.pop("return")
    streamed = get_origin(answer) is AsyncGenerator
    if streamed:
        answer = get_args(answer)[0]
    answers = tuple(one for one in get_args(answer) or (answer,) if one is not NoneType)
    (order,) = hints.values() or (None,)
    return Method(name, order, answers, streamed)


METHODS = {name: _method(name) for name in vars(Node) if not name.startswith("_")}
