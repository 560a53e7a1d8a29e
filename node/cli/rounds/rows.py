"""Rounds as rows of tables: the same on a terminal, in a pipe and in a live view."""

from collections.abc import Sequence

from node.cli.times import ahead, lasting, local, short
from node.cli.values import plural, spelled
from node.control.orders import Terms
from node.control.views import Entry, RoundDetail, RoundSummary, StewardView

ROUND_HEADERS = ["id", "title", "phase", "ends", "offers", "you are", "model"]
ENTRY_HEADERS = ["id", "by", "kind", "domain", "licence", "size", "state", "why"]
STEWARD_HEADERS = ["steward", "last said", "when", "root"]
PHASE_HEADERS = ["phase", "begins", "lasts", ""]

MERGED = "merged"
"""In place of a phase, once there is a model that is final."""


def round_rows(rounds: Sequence[RoundSummary], now: float) -> list[list[str]]:
    """One line for each round."""
    return [
        [
            short(one.id),
            one.title,
            one.phase if one.root is None else MERGED,
            ahead(one.phase_ends, now) if one.root is None else "",
            str(one.contributions),
            ", ".join(one.roles) or "reader",
            short(one.root),
        ]
        for one in rounds
    ]


def entry_rows(entries: Sequence[Entry]) -> list[list[str]]:
    """One line for each contribution; one's own are marked."""
    return [
        [
            short(one.id),
            f"{one.author.name} (you)" if one.mine else one.author.name,
            one.kind,
            one.domain,
            one.licence,
            spelled(one.size),
            one.state,
            one.reason or "",
        ]
        for one in entries
    ]


def steward_rows(stewards: Sequence[StewardView], now: float) -> list[list[str]]:
    """One line for each steward."""
    return [[one.who.name, one.state, ahead(one.since, now), short(one.root)] for one in stewards]


def phase_rows(detail: RoundDetail, now: float) -> list[list[str]]:
    """When each phase begins, and which of them is now."""
    times = detail.times
    spans = [
        ("commit", float(times.commit_opens), float(times.commit_closes)),
        ("reveal", detail.reveal_opens, float(times.reveal_closes)),
        ("roster", float(times.reveal_closes), float(times.roster_closes)),
        ("merge", float(times.roster_closes), float(times.merge_closes)),
    ]
    return [[name, local(begins), lasting(ends - begins), _mark(begins, ends, now)] for name, begins, ends in spans]


def terms_facts(kinds: Sequence[str], terms: Terms) -> list[tuple[str, str]]:
    """What a round admits, line by line."""
    norm = f", norm {terms.max_norm} at most" if terms.max_norm else ""
    return [
        ("accepts", ", ".join(kinds)),
        ("admits", f"{plural(len(terms.keys), 'key')} of a list" if terms.keys else "everybody"),
        *([("domains", ", ".join(terms.domains))] if terms.domains else []),
        *([("licences", ", ".join(terms.licences))] if terms.licences else []),
        (
            "limits",
            f"{plural(terms.contributions, 'contribution')}, {terms.contributions_per_key} of one key, "
            f"{spelled(terms.bytes_each)} each, {spelled(terms.bytes_total)} in all{norm}",
        ),
    ]


def headline(detail: RoundDetail, now: float) -> str:
    """A round in one line."""
    summary = detail.summary
    if summary.root is not None and summary.revision:
        return f"merged, revision {summary.revision}: root blake3:{summary.root.hex()}"
    if summary.root is not None:
        return f"merged: root blake3:{summary.root.hex()}"
    if summary.phase_ends is None:
        return f"{summary.phase} without a model"
    return f"{summary.phase}, ends {ahead(summary.phase_ends, now)}"


def _mark(begins: float, ends: float, now: float) -> str:
    if now < begins:
        return ahead(begins, now)
    return f"now, ends {ahead(ends, now)}" if now < ends else "over"
