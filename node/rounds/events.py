"""What happened in a round, for whoever watches it."""

from collections.abc import Iterator
from dataclasses import dataclass

from node.rounds.proceedings import Heard
from protocol.identity import PublicKey
from protocol.records import Record, Round, RoundRecord, Signed


@dataclass(frozen=True)
class Event:
    """One thing that happened: ``what`` is a word for programs, ``text`` a sentence for people."""

    round: bytes
    what: str
    text: str
    subject: bytes = b""
    """The record or contribution that it is about, if any."""


def events_of(heard: Heard, round_: Signed[Round]) -> Iterator[Event]:
    """What was heard, as events."""
    for signed in heard.new:
        yield said(signed, round_.id)
    for record_id, reason in heard.refused:
        yield Event(round_.id, "refused-record", f"record {record_id.hex()[:12]} was not taken: {reason}", record_id)


def said(signed: Signed[Record], round_id: bytes) -> Event:
    """Somebody said something."""
    record = signed.record
    name = PublicKey.from_point(record.author).name
    about = getattr(record, "contribution", signed.id) if isinstance(record, RoundRecord) else signed.id
    article = "an" if record.noun[0] in "aeiou" else "a"
    return Event(round_id, record.noun, f"{name}: {article} {record.noun}", about)
