"""Errors across the wire: the same class and words on the other side, and nothing that nobody should see."""

import errno

import pytest

import protocol.roads.grpc  # noqa: F401 (before grpc itself)

# isort: split
import grpc
from hypothesis import given
from hypothesis import strategies as st

import protocol.errors as facts
import umm.errors as maths
from node import errors
from node.control.control_pb2 import Fault
from node.control.faults import (
    CODES,
    DETAIL,
    FOREIGN,
    MAX_HEADER_BYTES,
    MAX_MESSAGE_CHARACTERS,
    as_node_error,
    error_of,
    refusal,
    unforeseen,
)
from node.errors import BusyError, MachineFault, NodeError, UnreachableError, UserError, VerificationError

OWN = sorted(
    {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, NodeError)},
    key=lambda kind: kind.__name__,
)


def across(error: NodeError) -> NodeError:
    said = refusal(error)
    return error_of(said.code, said.details, said.metadata, "the node")


@pytest.mark.parametrize("kind", OWN)
def test_an_error_keeps_its_class_and_its_words(kind: type[NodeError]) -> None:
    found = across(kind("wörd\nand another line"))
    assert type(found) is kind
    assert str(found) == "wörd\nand another line"


def test_every_class_has_a_code_of_its_own() -> None:
    assert set(CODES) == set(OWN)
    assert len(set(CODES.values())) == len(CODES)
    assert grpc.StatusCode.OK not in CODES.values()


def test_a_class_derived_elsewhere_travels_as_the_one_it_derives_from() -> None:
    class Special(UnreachableError):
        pass

    assert type(across(Special("s"))) is UnreachableError


@given(st.text(alphabet=st.characters(codec=None), max_size=100))
def test_any_words_survive_or_lose_only_halves_of_characters(words: str) -> None:
    assert str(across(UserError(words))) == words.encode("utf-8", "replace").decode()


def test_the_longest_words_fit_into_what_grpc_allows() -> None:
    said = refusal(UserError("\U0001f9a6" * 10 * MAX_MESSAGE_CHARACTERS))
    ((_, detail),) = said.metadata
    assert len(detail) * 4 / 3 + len(said.details) * 12 < MAX_HEADER_BYTES
    assert str(across(UserError("x" * 10**6))).endswith("x…")


def leaves(kind: type[Exception]) -> set[type[Exception]]:
    found = {kind}
    for sub in kind.__subclasses__():
        found |= leaves(sub) if sub.__module__ == kind.__module__ else set()
    return found


def test_every_error_of_the_other_rooms_is_somebodys_fault_here() -> None:
    known = {foreign for foreign, _ in FOREIGN}
    for kind in leaves(facts.ProtocolError) | leaves(maths.UmmError):
        named = [one for one in kind.__mro__ if one in known]
        assert named
        if kind not in (facts.ProtocolError, facts.PeerError, maths.UmmError):
            assert named[0] not in (facts.ProtocolError, maths.UmmError), f"{kind} has no place"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (facts.UsageError("m"), UserError),
        (facts.TooLargeError("m"), UserError),
        (facts.RuleError("r", "m"), UserError),
        (facts.ForgedError("m"), VerificationError),
        (facts.BusyError("m", 1.0), BusyError),
        (facts.UnavailableError("m"), UnreachableError),
        (facts.EnvironmentFault("m"), MachineFault),
        (maths.RecipeError("m"), UserError),
        (maths.MismatchError("m"), UserError),
        (maths.EnvironmentFault("m"), MachineFault),
        (ExceptionGroup("g", [ExceptionGroup("h", [facts.UnavailableError("m")])]), UnreachableError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_another_room_becomes_one_of_this(error: Exception, kind: type[NodeError]) -> None:
    found = as_node_error(error)
    assert type(found) is kind
    assert str(found) == "m"


def test_what_the_system_refuses_is_a_fault_of_the_machine() -> None:
    found = as_node_error(OSError(errno.ENOSPC, "No space left on device", "/disk/file"))
    assert isinstance(found, MachineFault)
    assert str(found) == "/disk/file: No space left on device"


@pytest.mark.parametrize("error", [ValueError("v"), KeyError("k"), ExceptionGroup("g", [UserError("u"), ValueError()])])
def test_what_nobody_foresaw_stays_here(error: Exception) -> None:
    assert as_node_error(error) is None
    reference, said = unforeseen()
    found = error_of(said.code, said.details, said.metadata, "the node")
    assert type(found) is NodeError
    assert reference in str(found)
    assert unforeseen()[0] != reference


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_what_grpc_itself_answers_becomes_an_error_of_ours(code: grpc.StatusCode) -> None:
    found = error_of(code, "words", (), "the node in /home")
    assert isinstance(found, NodeError)
    assert "the node in /home" in str(found)


def test_what_grpc_itself_answers_is_told_apart() -> None:
    unreachable = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
    for code in unreachable:
        assert type(error_of(code, "words", (), "n")) is UnreachableError
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert type(error_of(exhausted, "Concurrent RPC limit exceeded!", (), "n")) is BusyError
    assert type(error_of(exhausted, "message larger than max (5 vs. 4)", (), "n")) is UserError


@pytest.mark.parametrize("detail", [b"\xff", Fault(kind="KeyboardInterrupt", message="m").SerializeToString(), b""])
def test_a_detail_that_nobody_understands_is_still_an_error(detail: bytes) -> None:
    found = error_of(grpc.StatusCode.UNKNOWN, "words", ((DETAIL, detail),), "n")
    assert type(found) is NodeError
