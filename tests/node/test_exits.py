"""Every error has its code."""

import pytest

from node import errors as node
from node.exits import Exit, exit_of
from protocol import errors as protocol
from umm import errors as umm

SPECIAL = {
    node.VerificationError: Exit.UNVERIFIED,
    protocol.ForgedError: Exit.UNVERIFIED,
    node.UnreachableError: Exit.UNREACHABLE,
    protocol.UnavailableError: Exit.UNREACHABLE,
    node.BusyError: Exit.TEMPORARY,
    protocol.BusyError: Exit.TEMPORARY,
}
ROOMS = {"umm.errors", "protocol.errors", "node.errors"}


def tree(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(below for sub in kind.__subclasses__() if sub.__module__ in ROOMS for below in tree(sub))]


ERRORS = [*tree(umm.UmmError), *tree(protocol.ProtocolError), *tree(node.NodeError)]


def made(kind: type[Exception]) -> Exception:
    if kind is protocol.BusyError:
        return protocol.BusyError("later", 1.0)
    return protocol.RuleError("cap", "too many") if kind is protocol.RuleError else kind("it is so")


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_of_every_room_has_its_code(kind: type[Exception]) -> None:
    assert exit_of(made(kind)) is SPECIAL.get(kind, Exit.ERROR)


def test_the_codes_are_those_that_scripts_rely_on() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0, "ERROR": 1, "USAGE": 2, "UNVERIFIED": 3, "UNREACHABLE": 4, "TEMPORARY": 75, "INTERRUPTED": 130,
    }  # fmt: skip


def test_what_nobody_foresaw_is_an_error() -> None:
    assert exit_of(ValueError("?")) is Exit.ERROR
    assert exit_of(KeyboardInterrupt()) is Exit.INTERRUPTED


def test_a_group_has_the_code_of_the_error_in_it_that_says_most() -> None:
    group = ExceptionGroup("both", [OSError("x"), ExceptionGroup("inner", [node.UnreachableError("nobody")])])
    assert exit_of(group) is Exit.UNREACHABLE
    assert exit_of(ExceptionGroup("one", [OSError("x")])) is Exit.ERROR
