"""One of each thing that is asked and answered."""

from pathlib import Path

from node.control.orders import (
    BaseChoice,
    BlobOrder,
    CanJoinOrder,
    Claim,
    ContributeOrder,
    Draft,
    FollowOrder,
    LogOrder,
    MaterialiseOrder,
    PullOrder,
    ReviseOrder,
    Role,
    RoundOrder,
    ShowRoundOrder,
    Terms,
    Times,
    WithdrawOrder,
)
from node.control.views import Disk, Event, LogLine, Who

ME = Who(point=b"\x02" + b"m" * 32, name="brave-otter-41", peer_id="QmMe")
OTHER = Who(point=b"\x03" + b"o" * 32, name="calm-heron-7", peer_id="QmOther")

TIMES = Times(commit_opens=100, commit_closes=200, reveal_closes=300, roster_closes=400, merge_closes=500)

TERMS = Terms(contributions_per_key=1, contributions=10, bytes_each=10**9, bytes_total=10**10, licences=("mit",))

DRAFT = Draft(
    title="A round of mathematics, für alle",
    base=BaseChoice(folder=Path("/models/base")),
    kinds=("adapter", "delta"),
    stewards=(ME.point, OTHER.point),
    times=TIMES,
    terms=TERMS,
)

DISK = Disk(used=1, quota=2, free=3)

UNKNOWN = b"?" * 32

LINES = tuple(LogLine(at=float(n), level="info", source="node", text=f"line {n}") for n in range(3))

FIRST = Event(round=UNKNOWN, at=1.5, what="phase", text="commitments are open", subject=None)


def orders(round_id: bytes) -> dict[str, object]:
    """An order for each method that takes one, about this round."""
    return {
        "log": LogOrder(lines=2),
        "open_round": DRAFT,
        "show_round": ShowRoundOrder(round=round_id),
        "follow": FollowOrder(round=round_id, role=Role.STEWARD),
        "unfollow": RoundOrder(round=round_id),
        "watch_round": RoundOrder(round=round_id),
        "can_join": CanJoinOrder(round=round_id, kind="delta", domain="math", size=10**6),
        "revise": ReviseOrder(round=round_id, reason="one was withdrawn"),
        "contribute": ContributeOrder(
            round=round_id,
            expert=Path("/models/expert"),
            domain="math",
            licence="mit",
            claims=(Claim(suite="gsm8k", metric="accuracy", score="0.5", items=100),),
        ),
        "withdraw": WithdrawOrder(contribution=UNKNOWN, reason="a mistake"),
        "pull": PullOrder(what=round_id, out=Path("/models/out"), revision=0),
        "blob": BlobOrder(blob=UNKNOWN, round=round_id),
        "materialise": MaterialiseOrder(manifest=UNKNOWN, folder=Path("/models/part"), tensors=("a", "b")),
    }
