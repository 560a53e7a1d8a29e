"""The error tree is the one that is drawn."""

import inspect
import re

import pytest

from protocol import errors
from protocol.errors import BusyError, ProtocolError, RuleError

CLASSES = {name: found for name, found in vars(errors).items() if inspect.isclass(found)}


def drawn() -> dict[str, str]:
    """Each class of the drawing and the one it hangs from."""
    found, above = {}, {-1: "Exception"}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)(?:\s|$)", line):
            level = len(match[1]) // 4
            found[match[2]] = above[level - 1]
            above[level] = match[2]
    return found


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == {name: found.__bases__[0].__name__ for name, found in CLASSES.items()}


@pytest.mark.parametrize("found", CLASSES.values(), ids=CLASSES.keys())
def test_every_error_is_of_the_room_and_says_when_it_is_raised(found: type[Exception]) -> None:
    assert issubclass(found, ProtocolError)
    assert found.__doc__


def test_a_broken_rule_is_named_and_a_busy_peer_says_when_to_ask_again() -> None:
    broken = RuleError("expiry", "too late")
    assert (broken.rule, str(broken)) == ("expiry", "too late")
    busy = BusyError("later", 2.5)
    assert (busy.retry_after, str(busy)) == (2.5, "later")
