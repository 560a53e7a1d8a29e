"""``umm status``: what the node is doing, and what became of what was contributed."""

import time

from node.cli.asking import ask
from node.cli.plain import plain
from node.cli.progress import amount
from node.cli.rounds.rows import ROUND_HEADERS, round_rows
from node.cli.screen import Screen
from node.cli.times import ahead, lasting, short
from node.cli.values import spelled
from node.cli.verb import verb
from node.control.client import Client
from node.control.views import JobView, NodeStatus, OfferList, OfferView


@verb(
    "status",
    help="Show what the node is doing: its rounds, its work, and what became of each contribution of yours.",
)
def command(screen: Screen) -> None:
    """Print all of it."""

    async def both(client: Client) -> tuple[NodeStatus, OfferList]:
        return await client.status(), await client.offers()

    status, offers = ask(both)
    screen.document(plain(status) | {"offers": plain(offers.offers)})
    if screen.json:
        return
    now = time.time()  # noqa: TID251 - spans are shown from now
    screen.say(_headline(status))
    screen.facts(_facts(status))
    if status.rounds:
        screen.say("\nRounds")
        screen.table(ROUND_HEADERS, round_rows(status.rounds, now))
    if status.jobs:
        screen.say("\nWork")
        screen.table(["what", "round", "state", "how far"], [_job(job) for job in status.jobs])
    if offers.offers:
        screen.say("\nYour contributions")
        screen.table(["id", "round", "what", "state", "since", "why, or what is next"], _offers(offers, now))
    if not status.rounds:
        screen.advise("\nNo rounds yet. To take part in one: umm round join ID; to open one: umm round create")


def _headline(status: NodeStatus) -> str:
    paused = " (paused; to go on: umm resume)" if status.paused else ""
    return f"{status.who.name}, running for {lasting(status.uptime_seconds)}{paused}"


def _facts(status: NodeStatus) -> list[tuple[str, str]]:
    disk = status.disk
    return [
        ("version", status.version),
        ("peer id", status.who.peer_id),
        ("folder", str(status.home)),
        *(("address", address) for address in status.addresses),
        ("direct road", status.exchange or "none: others come through the swarm"),
        ("peers", str(status.peers) if status.peers else "none; what stands in the way: umm doctor"),
        ("disk", f"{spelled(disk.used)} of {spelled(disk.quota)} used, {spelled(disk.free)} free"),
    ]


def _job(job: JobView) -> list[str]:
    progress = job.progress
    far = amount(progress.done, progress.total, progress.unit) if progress else job.trouble or ""
    tries = f" (attempt {job.attempts})" if job.attempts > 1 else ""
    return [progress.what if progress else job.what, short(job.round), job.state + tries, far]


def _offers(offers: OfferList, now: float) -> list[list[str]]:
    return [
        [short(one.id), one.round_title, _what(one), one.state, ahead(one.since, now), _next(one, now)]
        for one in offers.offers
    ]


def _what(offer: OfferView) -> str:
    return f"{offer.kind}, {offer.domain}"


def _next(offer: OfferView, now: float) -> str:
    if offer.reason:
        return offer.reason
    return " ".join(part for part in (offer.next or "", ahead(offer.next_at, now)) if part)
