"""A report as plain data for JSON. Keys are stable: a change of meaning changes ``FORMAT``."""

from collections.abc import Sequence
from typing import Any

from umm.inspection import shares
from umm.inspection.caution import Caution
from umm.inspection.report import Group, Look, Report, Rows, group
from umm.inspection.sums import Sums

FORMAT = "umm-inspect/1"

Document = dict[str, Any]


def document(report: Report, cautions: Sequence[Caution]) -> Document:
    """Everything a report holds; docs/INSPECT.md describes each key."""
    return {
        "format": FORMAT,
        "base": report.base,
        "experts": list(report.experts),
        "total": _group(report.total),
        "kinds": [{"kind": kind.value, **_group(part)} for kind, part in report.kinds().items()],
        "layers": [{"layer": layer, **_group(part)} for layer, part in report.layers().items()],
        "tensors": [_look(look, len(report.experts)) for look in report.looks],
        "warnings": [_caution(caution) for caution in cautions],
    }


def _look(look: Look, experts: int) -> Document:
    fold = group((look,), experts)
    return {
        "name": look.subject.name,
        "layer": look.subject.layer,
        "kind": look.subject.kind.value,
        "shape": list(look.subject.shape),
        "sample_rows": next((s.rows for s in look.spectra if s is not None), None),
        "rows": [_rows(rows) for rows in look.rows],
        **_group(fold),
    }


def _rows(rows: Rows | None) -> Document | None:
    return None if rows is None else {"share": rows.share, "count": rows.count, "top": list(rows.top)}


def _group(part: Group) -> Document:
    sums = part.sums
    mean, plain = shares.reach(sums)
    return {
        "tensors": part.tensors,
        "values": sums.count,
        "base_norm": sums.base_energy**0.5,
        "deltas": _deltas(sums, part),
        "cosine": [list(row) for row in shares.cosines(sums)],
        "contested": shares.contested(sums),
        "sign_conflict": shares.conflict(sums),
        "sign_conflict_by_chance": shares.chance(sums),
        "mean_relative": mean,
        "sum_relative": plain,
    }


def _deltas(sums: Sums, part: Group) -> list[Document]:
    each = zip(
        shares.norms(sums),
        shares.relative(sums),
        sums.peak.tolist(),
        shares.zeros(sums),
        shares.swallowed(sums),
        part.top,
        part.rank,
        strict=True,
    )
    keys = ("norm", "relative", "peak", "zero", "swallowed", "top_energy", "effective_rank")
    return [dict(zip(keys, values, strict=True)) for values in each]


def _caution(caution: Caution) -> Document:
    return {
        "code": caution.code,
        "level": caution.level.value,
        "what": caution.what,
        "where": caution.where,
        "evidence": caution.evidence,
        "advice": caution.advice,
    }
