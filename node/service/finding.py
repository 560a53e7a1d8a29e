"""Finding a round of which only the id is known.

Anybody may publish a pointer to it. What they lead to is the round if it hashes to the id, and nothing else.
"""

import asyncio

from node.errors import UnreachableError
from node.peers import Place
from node.services import Services
from protocol.envelope import Envelope
from protocol.errors import ProtocolError
from protocol.pointer import Kind
from protocol.records import Round, Signed, open_record

MAX_ASKED = 32
"""Nodes that are asked for the record."""

ATTEMPTS = 5

RETRY_SECONDS = 2.0
"""A node that has just joined does not know everybody yet."""


async def find_round(round_id: bytes, services: Services) -> Signed[Round]:
    """The Round, from the database or from whoever serves it."""
    known = services.database.envelope(round_id)
    if known is not None:
        return open_record(Envelope.parse(known), Round)
    asked = 0
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(RETRY_SECONDS)
        places = await _places(round_id, services)
        asked = max(asked, len(places))
        for place in places[:MAX_ASKED]:
            if (found := await _ask(place, round_id, services)) is not None:
                return found
    heard = f"{asked} nodes were asked and none has it" if asked else "nobody in the swarm tells of it"
    raise UnreachableError(
        f"the round {round_id.hex()} was not found: {heard}. Check the id, and that this node reaches others: umm peers"
    )


async def _places(round_id: bytes, services: Services) -> list[Place]:
    pointers = [p for kind in (Kind.ROUND, Kind.LOG) for p in await services.directory.find(round_id, kind)]
    return list({pointer.author: Place(pointer.public, pointer.address) for pointer in pointers}.values())


async def _ask(place: Place, round_id: bytes, services: Services) -> Signed[Round] | None:
    try:
        peer = await services.peers.reach(place)
        for data in await peer.records([round_id]):
            envelope = Envelope.parse(data)
            if envelope.id == round_id:
                return open_record(envelope, Round)
    except ProtocolError:
        return None
    return None
