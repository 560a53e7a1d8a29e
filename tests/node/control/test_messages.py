"""Values to bytes and back: every class has its message, and nothing that does not belong gets through."""

import inspect
import os
from dataclasses import is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from node.control import control_pb2 as wire
from node.control import messages, orders
from node.control.client import Client
from node.control.interface import Node
from node.control.methods import METHODS, Method
from node.control.orders import BaseChoice, ContributeOrder, FollowOrder, MaterialiseOrder, RoundOrder, Terms
from node.control.progress import Progress
from node.control.views import Event, NodeStatus
from node.errors import UserError
from tests.node.control import generate, samples
from tests.node.control.memory_node import MemoryNode

ROUND = b"r" * 32

SCALARS = {
    bytes: FieldDescriptor.TYPE_BYTES,
    Path: FieldDescriptor.TYPE_BYTES,
    str: FieldDescriptor.TYPE_STRING,
    int: FieldDescriptor.TYPE_INT64,
    float: FieldDescriptor.TYPE_DOUBLE,
    bool: FieldDescriptor.TYPE_BOOL,
}


# What is generated, and what it says


def test_the_generated_code_is_that_of_the_proto_file() -> None:
    kept = descriptor_pb2.FileDescriptorProto.FromString(wire.DESCRIPTOR.serialized_pb)
    assert generate.descriptor() == kept, "run python -m tests.node.control.generate"


def test_the_methods_of_the_proto_file_are_those_of_a_node() -> None:
    assert [one.name for one in messages.SERVICE.methods] == [one.wire_name for one in METHODS.values()]
    for found in METHODS.values():
        stated = messages.SERVICE.methods_by_name[found.wire_name]
        assert stated.server_streaming == found.streamed
        assert not stated.client_streaming
        assert stated.input_type.name == (found.order.__name__ if found.order else "Nothing")
        if len(found.answers) > 1:
            held = {one.message_type.name for one in stated.output_type.fields if one.message_type}
            assert held == {one.__name__ for one in found.answers}
        else:
            assert stated.output_type.name == (found.answers[0].__name__ if found.answers else "Nothing")


def test_client_and_node_have_the_same_signatures() -> None:
    node: Node = MemoryNode()
    assert isinstance(node, MemoryNode)
    for name in METHODS:
        wanted = inspect.signature(getattr(Node, name))
        assert inspect.signature(getattr(Client, name)) == wanted
        assert inspect.signature(getattr(MemoryNode, name)) == wanted


def test_every_message_is_a_class_and_the_other_way_round() -> None:
    around = {f"{one.wire_name}Item" for one in METHODS.values() if len(one.answers) > 1}
    assert set(wire.DESCRIPTOR.message_types_by_name) == set(messages.CLASSES) | around | {"Nothing", "Fault"}


@pytest.mark.parametrize("name", sorted(messages.CLASSES))
def test_a_message_has_the_fields_of_its_class(name: str) -> None:
    hints = get_type_hints(messages.CLASSES[name])
    found = {field.name: field for field in wire.DESCRIPTOR.message_types_by_name[name].fields}
    assert list(found) == list(hints)
    for field, hint in hints.items():
        inner = (get_args(hint) or (hint,))[0]
        assert found[field].is_repeated == (get_origin(hint) is tuple)
        assert found[field].has_presence == (NoneType in get_args(hint) or (inner is hint and is_dataclass(inner)))
        if is_dataclass(inner):
            assert found[field].message_type.name == inner.__name__  # type: ignore[union-attr]
        else:
            assert found[field].type == SCALARS[str if issubclass(inner, StrEnum) else inner]


# There and back


def names() -> st.SearchStrategy[bytes]:
    """A part of a path, in whatever bytes the system allows."""
    return st.binary(min_size=1, max_size=12).filter(lambda part: b"/" not in part and b"\0" not in part)


def paths() -> st.SearchStrategy[Path]:
    return st.lists(names(), max_size=3).map(lambda parts: Path(os.fsdecode(b"/" + b"/".join(parts))))


def points() -> st.SearchStrategy[bytes]:
    return st.binary(min_size=32, max_size=32).map(lambda x: b"\x02" + x)


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    bytes: st.binary(max_size=40),
    str: st.text(max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    Path: paths(),
}

IDS = st.binary(min_size=32, max_size=32)

CHECKED: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    Terms: {"keys": st.lists(points(), max_size=3).map(tuple)},
    orders.Draft: {"seed": st.none() | IDS, "stewards": st.lists(points(), max_size=3).map(tuple)},
    orders.ShowRoundOrder: {"round": IDS, "skip": st.integers(0, 2**63 - 1)},
    orders.PullOrder: {"what": IDS, "revision": st.none() | st.integers(0, 2**63 - 1)},
    orders.LogOrder: {"lines": st.integers(0, 2**63 - 1)},
    orders.BlobOrder: {"blob": IDS, "round": st.none() | IDS},
    RoundOrder: {"round": IDS},
    FollowOrder: {"round": IDS},
    orders.CanJoinOrder: {"round": IDS},
    ContributeOrder: {"round": IDS, "derived_from": st.lists(IDS, max_size=2).map(tuple)},
    orders.WithdrawOrder: {"contribution": IDS},
    orders.ReviseOrder: {"round": IDS},
    MaterialiseOrder: {"manifest": IDS, "round": st.none() | IDS},
}
"""What has to be so for an order to be valid."""


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, valid ones."""
    if kind is BaseChoice:
        near = st.builds(BaseChoice, folder=paths(), locations=any_of(tuple[str, ...]), result=st.none() | IDS)
        return near | st.builds(BaseChoice, root=IDS, manifest=IDS, locations=any_of(tuple[str, ...]))
    if get_origin(kind) is tuple:
        return st.lists(any_of(get_args(kind)[0]), max_size=3).map(tuple)
    if NoneType in get_args(kind):
        return st.none() | any_of(get_args(kind)[0])
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{name: any_of(hint) for name, hint in hints.items()} | CHECKED.get(kind, {}))  # type: ignore[arg-type]
    if issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    return SIMPLE[kind]


ORDERED = [method for method in METHODS.values() if method.order is not None]
ANSWERED = [method for method in METHODS.values() if method.answers]


@pytest.mark.parametrize("method", ORDERED, ids=lambda method: method.name)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_order_survives_the_way(method: Method, data: st.DataObject) -> None:
    order = data.draw(any_of(method.order))
    assert messages.read_order(method, messages.write_order(method, order)) == order


@pytest.mark.parametrize("method", ANSWERED, ids=lambda method: method.name)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_answer_survives_the_way(method: Method, data: st.DataObject) -> None:
    answer = data.draw(st.one_of([any_of(kind) for kind in method.answers]))
    assert messages.read_answer(method, messages.write_answer(method, answer)) == answer


@given(st.binary(max_size=200), st.sampled_from(sorted(METHODS)))
def test_any_bytes_are_refused_or_understood(data: bytes, name: str) -> None:
    for read in (messages.read_order, messages.read_answer):
        try:
            read(METHODS[name], data)
        except UserError:
            continue


# What does not get through


def refused(method: str, message: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        messages.read_order(METHODS[method], message.SerializeToString())


def test_an_order_that_cannot_be_is_refused() -> None:
    refused("show_round", wire.ShowRoundOrder(round=b"short"), "32 bytes")
    refused("show_round", wire.ShowRoundOrder(round=ROUND, skip=-1), "skip")
    refused("follow", wire.FollowOrder(round=ROUND, role="king"), "it is one of: reader")
    refused("pull", wire.PullOrder(what=ROUND, out=b"here"), "absolute")
    refused("pull", wire.PullOrder(what=ROUND, out=b"/a\0b"), "absolute")
    refused("pull", wire.PullOrder(what=ROUND, out=b"/a", revision=-1), "revision")
    refused("log", wire.LogOrder(lines=-1), "lines")
    refused("open_round", wire.Draft(title="t"), "lacks base")
    refused("open_round", wire.Draft(base=wire.BaseChoice()), "either a folder or a root")
    refused("open_round", wire.Draft(base=wire.BaseChoice(folder=b"/a", root=ROUND)), "either a folder or a root")
    refused("open_round", wire.Draft(base=wire.BaseChoice(root=ROUND)), "nowhere")
    base = wire.BaseChoice(folder=b"/a")
    terms = wire.Terms(keys=[b"\x04" + ROUND])
    refused("open_round", wire.Draft(base=base, times=wire.Times(), terms=terms), "02 or 03")


def test_a_field_from_another_version_is_refused_at_any_depth() -> None:
    unknown = b"\xf8\x07\x01"  # field 127
    outer = wire.RoundOrder(round=ROUND).SerializeToString() + unknown
    with pytest.raises(UserError, match="restart the node"):
        messages.read_order(METHODS["unfollow"], outer)
    inner = wire.ContributeOrder(round=ROUND, expert=b"/e", claims=[wire.Claim.FromString(unknown)])
    refused("contribute", inner, "restart the node")


def test_a_stream_item_that_holds_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="holds nothing"):
        messages.read_answer(METHODS["pull"], b"")


def test_numbers_that_are_none_are_refused() -> None:
    item = wire.WatchRoundItem(event=wire.Event(at=float("nan")))
    with pytest.raises(UserError, match="at is not a number"):
        messages.read_answer(METHODS["watch_round"], item.SerializeToString())


def test_what_is_too_large_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(UserError, match="at most"):
        messages.read_order(METHODS["unfollow"], bytes(messages.MAX_ORDER_BYTES + 1))
    long = MaterialiseOrder(manifest=ROUND, folder=Path("/f"), tensors=("x" * messages.MAX_ORDER_BYTES,))
    with pytest.raises(UserError, match="can be sent"):
        messages.write_order(METHODS["materialise"], long)


def test_a_long_list_of_nothing_is_refused_before_it_is_built() -> None:
    claims = wire.ContributeOrder(claims=[wire.Claim()] * (messages.MAX_LISTED + 1))
    data = claims.SerializeToString() + wire.ContributeOrder(round=ROUND, expert=b"/e").SerializeToString()
    assert len(data) < messages.MAX_ORDER_BYTES
    with pytest.raises(UserError, match="claims lists"):
        messages.read_order(METHODS["contribute"], data)


@pytest.mark.parametrize("title", ["\ud800", "a" + chr(0xDFFF)])
def test_half_a_character_is_refused_before_it_is_sent(title: str) -> None:
    order = ContributeOrder(round=ROUND, expert=Path("/e"), domain=title, licence="mit")
    with pytest.raises(UserError, match="cannot be sent"):
        messages.write_order(METHODS["contribute"], order)


def test_a_number_beyond_64_bits_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UserError, match="cannot be sent"):
        messages.write_answer(METHODS["pull"], Progress(what="x", done=2**63, total=0, unit="B"))


def test_an_answer_of_another_kind_is_a_mistake_of_the_program() -> None:
    with pytest.raises(TypeError, match="a Progress where a NodeStatus belongs"):
        messages.write_answer(METHODS["status"], Progress(what="x", done=0, total=0, unit="B"))
    assert METHODS["status"].answers == (NodeStatus,)
    assert METHODS["watch_round"].answers == (Event, Progress)


def test_there_is_a_sample_of_every_order() -> None:
    found = samples.orders(ROUND)
    assert {name: type(order) for name, order in found.items()} == {one.name: one.order for one in ORDERED}
