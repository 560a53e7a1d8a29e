"""Asking the node that runs on this machine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from node.cli import here
from node.cli.progress import Bar
from node.control.client import Client
from node.control.progress import Progress
from node.errors import UserError

T = TypeVar("T")

ID_DIGITS = 64

MIN_DIGITS = 4
"""Of the beginning of an id that stands for the whole."""


def ask(work: Callable[[Client], Awaitable[T]]) -> T:
    """What the node answers. Ctrl-C ends the work on both sides."""

    place = here.home()
    here.require(place)

    async def run() -> T:
        async with await Client.connect(place.socket) as client:
            return await work(client)

    return asyncio.run(run())


async def round_id(client: Client, text: str) -> bytes:
    """The round that somebody means: its id, or the beginning of the id of one that the node follows."""
    if (whole := digits(text)) is not None:
        return whole
    return _meant(text, [summary.id for summary in (await client.list_rounds()).rounds], "round", "umm round list")


async def contribution_id(client: Client, text: str) -> bytes:
    """The contribution of this node's that somebody means, in the same way."""
    if (whole := digits(text)) is not None:
        return whole
    return _meant(text, [offer.id for offer in (await client.offers()).offers], "contribution", "umm status")


def digits(text: str) -> bytes | None:
    """A whole id or root, as it is printed."""
    text = text.removeprefix("blake3:").lower()
    try:
        return bytes.fromhex(text) if len(text) == ID_DIGITS else None
    except ValueError:
        return None


def listening(bar: Bar) -> Callable[[Progress], None]:
    """Show what the node tells of its progress."""

    def heard(progress: Progress) -> None:
        bar.at(progress.done, progress.total, progress.what, progress.unit)

    return heard


def _meant(text: str, ids: Sequence[bytes], noun: str, where: str) -> bytes:
    begun = text.removeprefix("blake3:").rstrip("…").lower()
    found = [one for one in ids if one.hex().startswith(begun)] if len(begun) >= MIN_DIGITS else []
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{len(found)} {noun}s have an id that begins with {begun}; give more of it")
    raise UserError(
        f"{text!r} is no {noun} that this node knows; give its id of {ID_DIGITS} digits, "
        f"or the first {MIN_DIGITS} or more of one in: {where}"
    )
