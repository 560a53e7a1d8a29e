"""What a web server's answer to a request for a range is worth. Pure, given the answer's head.

Rules:

1. Only a range is believed to be a range: status 206 with a ``Content-Range`` that is the one asked for; or 200 if the
   whole file was asked for and that is its length. A server that ignores ranges is of no use.
2. Compressed answers are refused: they would not be the file's bytes, and could grow without bound.
"""

import re
from http.client import HTTPResponse

from protocol.errors import BusyError, MalformedError, UnavailableError
from protocol.exchange.answers import bearable

DEFAULT_RETRY_SECONDS = 5.0
"""When a busy server does not say."""

_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_BEYOND = re.compile(r"bytes \*/(\d{1,15})")


def file_size(response: HTTPResponse, url: str, start: int, length: int | None) -> int:
    """The size of the file, if the answer is the range that was asked for."""
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise MalformedError(f"{url[:200]} sends compressed bytes, which was not asked for")
    found = _RANGE.fullmatch(response.getheader("Content-Range", ""))
    if response.status == 206 and found is not None:
        first, last, total = map(int, found.groups())
        wanted = (start, start + (length or 1) - 1)
        if (first, last) != wanted or last >= total or response.length not in (None, last - first + 1):
            raise MalformedError(f"{url[:200]} sends bytes {first}-{last} of {total} where {wanted} were asked for")
        return total
    return _check_whole(response, url, start, length)


def _check_whole(response: HTTPResponse, url: str, start: int, length: int | None) -> int:
    """An answer without a range."""
    status = response.status
    if status == 200 and start == 0 and response.length is not None and length in (None, response.length):
        return response.length
    if status == 200:
        raise UnavailableError(f"{url[:200]} ignores that only a part of the file is wanted")
    beyond = _BEYOND.fullmatch(response.getheader("Content-Range", ""))
    if status == 416 and beyond is not None and start == 0 and length is None and int(beyond[1]) == 0:
        return 0
    if status in (429, 503):
        raise BusyError(f"{url[:200]} is busy", _retry_after(response))
    if status in (206, 416):
        raise MalformedError(f"{url[:200]} has no such bytes (status {status})")
    raise UnavailableError(f"{url[:200]} is not there (status {status})")


def _retry_after(response: HTTPResponse) -> float:
    said = response.getheader("Retry-After", "")
    return bearable(float(said)) if re.fullmatch(r"\d{1,9}", said) else DEFAULT_RETRY_SECONDS
