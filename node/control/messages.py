"""Orders and answers to the bytes on the wire, and back. Strict: an unknown field is refused.

Rules:

1. A message has the name and the fields of its class, so one pair of functions serves all of them. ``X | None`` is an
   optional field, a tuple a repeated one, a path the bytes that the system calls it by.
2. A stream with several kinds of items has a message around them that holds one of them.
3. Nothing larger than ``MAX_ORDER_BYTES`` or ``MAX_ANSWER_BYTES`` is parsed, no list longer than ``MAX_LISTED`` built.
"""

import math
import os
from dataclasses import is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from node.control import control_pb2 as wire
from node.control import orders, progress, views
from node.control.methods import Method
from node.errors import UserError

SERVICE = wire.DESCRIPTOR.services_by_name["Control"]

MAX_ORDER_BYTES = 4 * 1024 * 1024
"""A recipe of 1 MiB, and the names of some ten thousand tensors."""

MAX_ANSWER_BYTES = 17 * 1024 * 1024
"""A round with ``views.MAX_ENTRIES`` contributions, or the longest manifest."""

MAX_LISTED = 100_000
"""Values in a list: two bytes can be a whole message, which takes a hundred times as much memory."""

CLASSES: dict[str, type[Any]] = {
    name: found
    for module in (orders, progress, views)
    for name, found in vars(module).items()
    if is_dataclass(found) and isinstance(found, type)
}
"""Every class that can be on the wire, by its name."""

_HINTS: dict[type[Any], dict[str, Any]] = {kind: get_type_hints(kind) for kind in CLASSES.values()}

Found = TypeVar("Found")


def path(method: Method) -> str:
    """What gRPC calls a method, with its service."""
    return f"/{SERVICE.full_name}/{method.wire_name}"


def write_order(method: Method, order: object) -> bytes:
    """The bytes of an order."""
    made = wire.Nothing() if method.order is None else _message(_of_class(order, (method.order,)))
    return _bounded(made.SerializeToString(), MAX_ORDER_BYTES, "order")


def read_order(method: Method, data: bytes) -> Any:
    """The order in these bytes; None for a method that takes none."""
    found = _parse(_input(method), data, MAX_ORDER_BYTES)
    return None if method.order is None else _value(method.order, found)


def write_answer(method: Method, answer: object) -> bytes:
    """The bytes of an answer, or of one item of a stream."""
    if not method.answers:
        return wire.Nothing().SerializeToString()
    made = _message(_of_class(answer, method.answers))
    around = _output(method)
    if len(method.answers) > 1:
        made = around(**{type(answer).__name__.lower(): made})
    return _bounded(made.SerializeToString(), MAX_ANSWER_BYTES, "answer")


def read_answer(method: Method, data: bytes) -> Any:
    """The answer in these bytes, or the item of a stream; None for a method that answers nothing."""
    found = _parse(_output(method), data, MAX_ANSWER_BYTES)
    if not method.answers:
        return None
    if len(method.answers) == 1:
        return _value(method.answers[0], found)
    held = found.WhichOneof("item")
    if held is None:
        raise _malformed(found, "it holds nothing")
    inner = getattr(found, held)
    return _value(CLASSES[inner.DESCRIPTOR.name], inner)


def _input(method: Method) -> type[Message]:
    return _class_of(SERVICE.methods_by_name[method.wire_name].input_type.name)


def _output(method: Method) -> type[Message]:
    return _class_of(SERVICE.methods_by_name[method.wire_name].output_type.name)


def _class_of(name: str) -> type[Message]:
    found: type[Message] = getattr(wire, name)
    return found


# -- to bytes ------------------------------------------------------------------------------------------------------


def _of_class(value: object, wanted: tuple[type[Any], ...]) -> Any:
    if not isinstance(value, wanted):
        names = " or ".join(one.__name__ for one in wanted)
        raise TypeError(f"a {type(value).__name__} where a {names} belongs")
    return value


def _message(value: Any) -> Message:
    kind = type(value)
    try:
        given = {name: _plain(getattr(value, name)) for name in _HINTS[kind] if getattr(value, name) is not None}
        return _class_of(kind.__name__)(**given)
    except (ValueError, UnicodeError) as error:  # an integer of more than 64 bits, half of a character
        raise UserError(f"this {kind.__name__} cannot be sent to the node: {error}") from None


def _plain(value: Any) -> Any:
    """A value as the generated classes take it."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return os.fsencode(value)
    if isinstance(value, StrEnum):
        return value.value
    return _message(value) if is_dataclass(value) else value


def _bounded(data: bytes, limit: int, what: str) -> bytes:
    if len(data) > limit:
        raise UserError(f"the {what} takes {len(data)} bytes; at most {limit} can be sent")
    return data


# -- and back ------------------------------------------------------------------------------------------------------


def _parse(kind: type[Message], data: bytes, limit: int) -> Any:
    _bounded(data, limit, kind.DESCRIPTOR.name)
    try:
        return kind.FromString(data)
    except DecodeError:
        raise UserError(f"these {len(data)} bytes are not a {kind.DESCRIPTOR.name}") from None


def _value(kind: type[Found], message: Message) -> Found:
    """The value that a message holds."""
    if len(UnknownFieldSet(message)):
        raise _malformed(message, "it has a field that is not known here; restart the node after an update: umm node")
    found = {}
    for name, hint in _HINTS[kind].items():
        missing = NoneType in get_args(hint) and not message.HasField(name)
        found[name] = None if missing else _field(hint, message, name)
    return kind(**found)


def _field(hint: Any, message: Message, name: str) -> Any:
    raw = getattr(message, name)
    inner = (get_args(hint) or (hint,))[0]  # of X | None, of tuple[X, ...]
    if get_origin(hint) is tuple:
        if len(raw) > MAX_LISTED:
            raise _malformed(message, f"{name} lists {len(raw)} values; at most {MAX_LISTED} are allowed")
        return tuple(_single(inner, one, message, name) for one in raw)
    if is_dataclass(inner) and not message.HasField(name):
        raise _malformed(message, f"it lacks {name}")
    return _single(inner, raw, message, name)


def _single(kind: Any, raw: Any, message: Message, name: str) -> Any:
    """One value of a field."""
    if is_dataclass(kind):
        return _value(kind, raw)  # type: ignore[arg-type]
    if kind is Path:
        return Path(os.fsdecode(raw))
    if kind is float and not math.isfinite(raw):
        raise _malformed(message, f"{name} is not a number")
    if issubclass(kind, StrEnum) and raw not in list(kind):
        raise _malformed(message, f"{name} is {raw[:40]!a}; it is one of: {', '.join(kind)}")
    return kind(raw)


def _malformed(message: Message, why: str) -> UserError:
    return UserError(f"a {message.DESCRIPTOR.name} that cannot be: {why}")
