"""The page that says how well the two programs agree."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]


def page(report: Mapping[str, Any]) -> str:
    """All three questions with their answers, the summary first."""
    same, nearer, random = report["same"], report["nearer"], report["random"]
    failed = [f"- {e['case']}: {e['failed']}" for e in (*same, *nearer, *random) if "failed" in e]
    return (
        "# Agreement with mergekit\n\n"
        f"umm: {_flat(report['umm'])}. mergekit: {_flat(report['mergekit'])}.\n\n"
        "## By method\n\n"
        f"{_summary(same, nearer)}\n"
        "## float32 inside, bfloat16 out: equal, or one unit in the last place apart\n\n"
        f"{_same(same)}\n"
        "## bfloat16: error against float64, over the decided values\n\n"
        f"{_nearer(nearer)}\n"
        "## Random methods: masks read off the output\n\n"
        f"{_random(random)}" + (f"\n## Not run\n\n{chr(10).join(failed)}\n" if failed else "")
    )


def _flat(found: Mapping[str, str]) -> str:
    return ", ".join(f"{k} {v}" for k, v in found.items())


def _rows(head: str, rows: Iterable[Sequence[str]]) -> str:
    titles = head.split(" | ")
    rule = "|".join("---" if i == 0 else "--:" for i in range(len(titles)))
    return f"| {head} |\n|{rule}|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.4f}"


def _over(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.4f}" if theirs else "–"


def _summary(same: Sequence[Entry], nearer: Sequence[Entry]) -> str:
    rows = []
    for method in dict.fromkeys(e["method"] for e in same):
        mine = [e for e in same if e["method"] == method and "failed" not in e]
        away = [e for e in nearer if e["method"] == method and "failed" not in e]
        if not mine:
            rows.append([method, *["–"] * 6, "failed"])
            continue
        equal = min(mine, key=lambda e: e["equal"] / e["values"])
        near = min(mine, key=lambda e: e["near"] / e["values"])
        sure = min(mine, key=lambda e: e["decided_near"] / max(1, e["decided"]))
        worst = max((e["mean_ours"] / (e["mean_theirs"] or 1) for e in away), default=None)
        largest = max((e["largest_ours"] / (e["largest_theirs"] or 1) for e in away), default=None)
        verdicts = {e["verdict"] for e in mine}
        order = ("missed", "met where decided", "met")
        rows.append(
            [
                method,
                str(len(mine)),
                _percent(equal["equal"], equal["values"]),
                _percent(near["near"], near["values"]),
                _percent(sure["decided_near"], sure["decided"]),
                "–" if worst is None else f"{worst:.3f}",
                "–" if largest is None else f"{largest:.3f}",
                next(v for v in order if v in verdicts),
            ]
        )
    head = (
        "method | cases | least equal % | least within one % | least of decided % "
        "| mean error ours ÷ theirs, worst | largest error ours ÷ theirs, worst | bar 99.9 %"
    )
    return _rows(head, rows)


def _same(entries: Sequence[Entry]) -> str:
    rows = [
        [
            e["case"],
            e["checkpoints"],
            _percent(e["equal"], e["values"]),
            _percent(e["near"], e["values"]),
            _percent(e["decided"], e["values"]),
            _percent(e["decided_near"], e["decided"]),
            e["verdict"],
        ]
        for e in entries
        if "failed" not in e
    ]
    head = "case | checkpoints | equal % | within one % | decided % | of these within one % | bar 99.9 %"
    return _rows(head, rows)


def _nearer(entries: Sequence[Entry]) -> str:
    rows = [
        [
            e["case"],
            f"{e['mean_ours']:.3e}",
            f"{e['mean_theirs']:.3e}",
            f"{e['largest_ours']:.3e}",
            f"{e['largest_theirs']:.3e}",
            _over(e["mean_ours"], e["mean_theirs"]),
            _over(e["largest_ours"], e["largest_theirs"]),
            e["verdict"],
        ]
        for e in entries
        if "failed" not in e
    ]
    head = (
        "case | mean ours | mean theirs | largest ours | largest theirs "
        "| mean ours ÷ theirs | largest ours ÷ theirs | ours is"
    )
    return _rows(head, rows)


def _random(entries: Sequence[Entry]) -> str:
    rows = []
    for e in entries:
        if "failed" in e:
            continue
        for who in ("ours", "theirs"):
            s = e[who]
            gap = max(abs(a - b) for a, b in zip(s["deciles"], s["wanted"], strict=True))
            rows.append(
                [
                    e["case"],
                    who,
                    f"{s['kept']:.4f}",
                    f"{s['sigmas']:+.1f}",
                    f"{s['norm']:.5f}",
                    f"{s['deciles'][0]:.3f}…{s['deciles'][-1]:.3f}",
                    f"{gap:.4f}",
                    " / ".join(f"{n:.4f}" for n in e["norms"]) if who == "ours" else "",
                    ("yes" if e["ok"] else "NO") if who == "ours" else "",
                ]
            )
    head = (
        "case | whose | kept share | σ from expected | L1 after ÷ before | kept, smallest…largest tenth "
        "| worst tenth off by | four experts: L1 / L2 moved, ours ÷ theirs | right"
    )
    return _rows(head, rows)
