"""What ``umm merge`` says: the plan of a dry run, and the report of a merge."""

from node.cli.values import counted, plural, spelled
from umm.budget import Share
from umm.merge import Report
from umm.plan import Plan


def plan_document(plan: Plan, share: Share) -> dict[str, object]:
    """The plan as JSON."""
    return {
        "method": plan.method.name,
        "exact": plan.method.exact,
        "dtype": plan.dtype.recipe,
        "parameters": plan.parameters,
        "read_bytes": plan.read_bytes,
        "write_bytes": plan.written_bytes,
        "memory_bytes": share.bytes,
        "threads": share.threads,
        "warnings": list(plan.warnings),
        "tensors": [
            {
                "name": s.name,
                "shape": list(s.shape),
                "dtype": s.output.header_dtype,
                "from": [f"{m.ref}: {n}" for m, n in zip(s.models, s.names, strict=True)],
                "parameters": dict(s.arguments.merge) if s.arguments else None,
                "per_model": [dict(e) for e in s.arguments.experts] if s.arguments else None,
            }
            for s in plan.steps
        ],
    }


def plan_text(plan: Plan, share: Share, backend: str, name: str | None) -> str:
    """The plan for people."""
    base = plan.recipe.base
    models = [f"{m.ref} (base)" if m.ref == base else str(m.ref) for m in plan.models]
    lines = [
        f"{name}: {plan.method.title}" if name else plan.method.title,
        "  models  " + "\n          ".join(models),
        f"  output  {_tensors(len(plan.steps))}, {counted(plan.parameters)} parameters, {plan.dtype.recipe}",
        f"  disk    reads {spelled(plan.read_bytes)}, writes {spelled(plan.written_bytes)}",
        f"  memory  about {spelled(share.bytes)} with {plural(share.threads, 'thread')} ({backend})",
    ]
    if not plan.method.exact:
        lines.append("  this method is not bit-reproducible")
    return "\n".join(lines)


def report_document(report: Report, seconds: float) -> dict[str, object]:
    """The report as JSON."""
    return {
        "folder": str(report.folder),
        "root": f"blake3:{report.root.hex()}",
        "tensors": report.tensors,
        "resumed_tensors": report.resumed,
        "parameters": report.parameters,
        "read_bytes": report.read_bytes,
        "written_bytes": report.written_bytes,
        "backend": report.backend,
        "threads": report.threads,
        "seconds": round(seconds, 3),
    }


def report_text(report: Report, plan: Plan, seconds: float, name: str | None) -> str:
    """The report for people; ``name`` is that of a result which only later documents need."""
    resumed = f", {report.resumed} of them done before" if report.resumed else ""
    size = f"{counted(report.parameters)} parameters as {plan.dtype.recipe}"
    return "\n".join(
        [
            f"{name or report.folder}: {plan.method.title}, {size}",
            f"  {_tensors(report.tensors)}{resumed}, {spelled(report.written_bytes)} in {seconds:.1f} s "
            f"({report.backend}, {plural(report.threads, 'thread')})",
            *([] if name else [f"  root blake3:{report.root.hex()}"]),
        ]
    )


def _tensors(count: int) -> str:
    return plural(count, "tensor")
