"""Whatever goes wrong in asking a source is that source's fault, also what no road should ever raise.

A road has much to do with what strangers send; if it trips over some of that, one source is lost and not a download
of many gigabytes that has others. So everything is caught here, and nowhere else in a download.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from protocol.blobs.chunks import ChunkList
from protocol.errors import ProtocolError, UnavailableError
from protocol.exchange.interface import Peer


def name_of(source: Peer) -> str:
    """For people."""
    return source.address if source.identity is None else f"{source.identity.name} at {source.address}"


async def list_from(source: Peer, blob_id: bytes, limit: int) -> ChunkList:
    """See :meth:`protocol.exchange.interface.Peer.chunk_list`."""
    with _blaming():
        return await source.chunk_list(blob_id, limit)


async def chunks_from(
    source: Peer, blob_id: bytes, indices: tuple[int, ...]
) -> AsyncGenerator[tuple[int, bytes], None]:
    """See :meth:`protocol.exchange.interface.Peer.chunks`."""
    with _blaming():
        async with aclosing(source.chunks(blob_id, indices)) as stream:
            async for found in stream:
                yield found


@contextmanager
def _blaming() -> Iterator[None]:
    try:
        yield
    except ProtocolError:
        raise
    except Exception as error:
        raise UnavailableError(f"this node cannot cope with what it sends ({type(error).__name__})") from error
