import subprocess
import sys

import grpc
import pytest

from protocol.errors import (
    BusyError,
    ForgedError,
    MalformedError,
    PeerError,
    RuleError,
    TooLargeError,
    TooNewError,
    TooOldError,
    UnavailableError,
)
from protocol.exchange.answers import LONGEST_RETRY_SECONDS
from protocol.roads.grpc.status import RETRY_AFTER, error_of, retry_metadata, status_of

ERRORS: list[PeerError] = [
    MalformedError("m"),
    TooLargeError("m"),
    TooOldError("m"),
    TooNewError("m"),
    ForgedError("m"),
    RuleError("r", "m"),
    BusyError("m", 3.5),
    UnavailableError("m"),
]


@pytest.mark.must("EXC-23")
def test_every_error_of_a_peer_has_a_status() -> None:
    kinds = {PeerError}
    for kind in list(kinds):
        kinds |= set(kind.__subclasses__()) | {k for sub in kind.__subclasses__() for k in sub.__subclasses__()}
    ours = {kind for kind in kinds if kind.__module__ == "protocol.errors"} - {PeerError}
    assert {type(error) for error in ERRORS} == ours
    codes = {type(error).__name__: status_of(error)[0].name for error in ERRORS}
    assert codes.pop("BusyError") == "RESOURCE_EXHAUSTED"
    assert codes.pop("UnavailableError") == "NOT_FOUND"
    assert codes.pop("ForgedError") == "UNAUTHENTICATED"
    assert set(codes.values()) == {"INVALID_ARGUMENT"}


@pytest.mark.must("EXC-23")
@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_every_status_becomes_an_error_of_ours(code: grpc.StatusCode) -> None:
    error = error_of(code, "\x1b[31mred\n" + "x" * 5000, (), "10.0.0.1:1")
    assert isinstance(error, PeerError)
    assert "10.0.0.1:1" in str(error)
    assert "\x1b" not in str(error), "a peer's words steer no terminal"
    assert len(str(error)) < 500


@pytest.mark.must("EXC-23")
@pytest.mark.parametrize(
    ("metadata", "seconds"),
    [
        ((), 2.0),
        (((RETRY_AFTER, "1500"),), 1.5),
        (((RETRY_AFTER, "-1"),), 2.0),
        (((RETRY_AFTER, "soon"),), 2.0),
        (((RETRY_AFTER, "9" * 30),), 2.0),
        (((RETRY_AFTER, "999999999"),), LONGEST_RETRY_SECONDS),
        (((RETRY_AFTER, b"1500"),), 2.0),
        (retry_metadata(BusyError("m", 3.5)), 3.5),
        (retry_metadata(BusyError("m", 1e12)), LONGEST_RETRY_SECONDS),
    ],
)
def test_a_busy_peer_is_believed_about_when_to_ask_again_within_reason(
    metadata: tuple[tuple[str, str | bytes], ...], seconds: float
) -> None:
    error = error_of(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", metadata, "x")
    assert isinstance(error, BusyError)
    assert error.retry_after == seconds


def test_importing_the_road_imports_no_heavy_library() -> None:
    program = "import sys, protocol.roads.grpc.road; print(sorted({'torch', 'numpy', 'hivemind'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"
