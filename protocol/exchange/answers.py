"""What a client makes of an answer, the same on every road: which road it came over must not decide who is to blame.

Rules:

1. More than was asked for, other than that, or larger than may be: :class:`MalformedError`. No honest peer sends it.
2. An answer that ends in order but short, and a request that is refused: :class:`UnavailableError`. The peer may have
   lost what it had, or have other limits; another one is asked, and nothing is held against this one.
3. A stranger's words are cut and steer no terminal, and nobody is sent away for longer than ``LONGEST_RETRY_SECONDS``.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from protocol.blobs.chunks import ChunkList
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.errors import MalformedError, UnavailableError
from protocol.exchange.pieces import Assembly, ListAssembly, Piece
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.strict import CONTROL_CHARACTER

LONGEST_RETRY_SECONDS = 3600.0
"""Nobody is sent away for longer than this, whatever a peer says."""

MAX_REASON_CHARACTERS = 200
"""Of a peer's own words, which end up in our messages."""


async def records(answers: AsyncGenerator[bytes, None], request: RecordsRequest, where: str) -> list[bytes]:
    """Encoded envelopes, at most as many as were asked for; ``where`` names the peer."""
    found: list[bytes] = []
    async with aclosing(answers):
        async for envelope in answers:
            if len(found) == len(request.ids):
                raise MalformedError(f"{where} sent more than the {len(request.ids)} records asked for")
            if not 0 < len(envelope) <= MAX_ENVELOPE_BYTES:
                raise MalformedError(
                    f"{where} sent a record of {len(envelope)} bytes; it has 1 to {MAX_ENVELOPE_BYTES}"
                )
            found.append(envelope)
    return found


async def chunk_list(
    answers: AsyncGenerator[bytes, None], request: ChunkListRequest, limit: int, where: str
) -> ChunkList:
    """The list that these parts are of, verified; ``limit`` is the largest blob to accept, in bytes."""
    assembly = ListAssembly(limit)
    async with aclosing(answers):
        async for part in answers:
            assembly.add(part)
    whole = assembly.whole()
    if whole is None:
        raise UnavailableError(f"{where} ended the chunk list of blob {request.blob_id.hex()} before its end")
    return ChunkList.parse(whole, request.blob_id)


async def chunks(
    answers: AsyncGenerator[Piece, None], request: ChunksRequest
) -> AsyncGenerator[tuple[int, bytes], None]:
    """The chunks that these pieces are of, each as soon as it is whole. Not verified."""
    assembly = Assembly(request.indices)
    async with aclosing(answers):
        async for piece in answers:
            chunk = assembly.add(piece)
            if chunk is not None:
                yield chunk


def refusal(where: str, words: str) -> UnavailableError:
    """What to raise when a peer refuses a request, with its reason."""
    return UnavailableError(f"{where} refuses the request: {harmless(words)}")


def harmless(words: str) -> str:
    """A stranger's words as they can be shown."""
    return CONTROL_CHARACTER.sub("?", words[:MAX_REASON_CHARACTERS])


def bearable(seconds: float) -> float:
    """How long to wait when a peer says so many seconds."""
    return min(max(seconds, 0.0), LONGEST_RETRY_SECONDS)
