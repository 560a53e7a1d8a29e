"""Errors to gRPC status codes and back; neither side lets one of the other kind through."""

import re
from collections.abc import Iterable

import grpc

from protocol.errors import BusyError, ForgedError, PeerError, TooLargeError, TooOldError, UnavailableError
from protocol.exchange.answers import MAX_REASON_CHARACTERS, bearable, harmless, refusal

RETRY_AFTER = "retry-after-ms"
"""Trailing metadata of ``RESOURCE_EXHAUSTED``: when to ask again."""

DEFAULT_RETRY_SECONDS = 2.0
"""When a busy peer does not say."""

_MILLISECONDS = re.compile(r"[0-9]{1,9}")

_TOO_LARGE = "larger than max"
"""How gRPC itself words a message beyond its limit; it has the same code as a busy peer."""


def status_of(error: PeerError) -> tuple[grpc.StatusCode, str]:
    """What a server answers."""
    code = grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, BusyError):
        code = grpc.StatusCode.RESOURCE_EXHAUSTED
    elif isinstance(error, ForgedError):
        code = grpc.StatusCode.UNAUTHENTICATED
    elif isinstance(error, UnavailableError):
        code = grpc.StatusCode.NOT_FOUND
    return code, str(error)[:MAX_REASON_CHARACTERS]


def retry_metadata(error: BusyError) -> tuple[tuple[str, str], ...]:
    """The trailing metadata of a busy answer."""
    return ((RETRY_AFTER, str(round(bearable(error.retry_after) * 1000))),)


def error_of(code: grpc.StatusCode, details: str, metadata: Iterable[tuple[str, str | bytes]], where: str) -> PeerError:
    """What a client raises; ``where`` names the peer."""
    said = harmless(details)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        if _TOO_LARGE in details:
            return TooLargeError(f"{where} sent a message beyond the limit: {said}")
        return BusyError(f"{where}: {said}", _retry_after(metadata))
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return TooOldError(f"{where} does not know what was asked for: {said}; it runs another version")
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return refusal(where, details)
    return UnavailableError(f"{where}: {said or 'no answer'} ({code.name.lower()})")


def _retry_after(metadata: Iterable[tuple[str, str | bytes]]) -> float:
    for name, value in metadata:
        if name == RETRY_AFTER and isinstance(value, str) and _MILLISECONDS.fullmatch(value):
            return bearable(int(value) / 1000)
    return DEFAULT_RETRY_SECONDS
