"""A report as text: what was checked, what was not, and what to do. Plain; who likes colours adds them."""

from collections.abc import Iterator

from node.verify.report import FAILED, OK, Check, Gravity, Report, Sample, State
from protocol.strict import CONTROL_CHARACTER, shown

WORDS = {State.PASSED: "passed", State.FAILED: "FAILED", State.OPEN: "open", State.SKIPPED: "not checked"}
MARKS = {Gravity.FAULT: "!", Gravity.MISSING: "?", Gravity.WARNING: "!", Gravity.NOTE: "-"}
WIDTH = 12


def text(report: Report) -> str:
    """All of it, one line for each thing, and nothing in it that steers a terminal."""
    parts = (_head(report), _checks(report), _sample(report.sample), _believed(report), _end(report))
    return "\n".join(CONTROL_CHARACTER.sub("\ufffd", line) for part in parts for line in part)


def verdict(report: Report) -> str:
    """One sentence."""
    asked = [check.level.value for check in report.checks if check.state is not State.SKIPPED]
    if report.code == OK:
        return f"{_listed(asked)}: everything that was checked holds."
    wrong = State.FAILED if report.code == FAILED else State.OPEN
    bad = [check.level.value for check in report.checks if check.state is wrong]
    return f"{_listed(bad)}: {'FAILED' if wrong is State.FAILED else 'could not be decided'}."


def _head(report: Report) -> Iterator[str]:
    yield f"{shown(report.subject)}"
    if report.root is not None:
        yield f"{'root':{WIDTH}}{report.root.hex()}"


def _checks(report: Report) -> Iterator[str]:
    for check in report.checks:
        yield f"{check.level:{WIDTH}}{WORDS[check.state]:{WIDTH}}{check.summary}{_cost(check)}"
        for finding in check.findings:
            yield f"{'':{WIDTH}}{MARKS[finding.gravity]} {finding.text}"
            if finding.advice:
                yield f"{'':{WIDTH}}  → {finding.advice}"


def _cost(check: Check) -> str:
    if check.state is State.SKIPPED:
        return ""
    read = f", {check.bytes_read / 1e6:.1f} MB read" if check.bytes_read else ""
    return f" ({check.seconds:.1f} s{read})"


def _sample(sample: Sample | None) -> Iterator[str]:
    if sample is None:
        return
    yield f"An audit of {len(sample.tensors)} of {sample.of} tensors. A cheat goes undetected with this probability:"
    for chance in sample.chances:
        yield f"{'':{WIDTH}}{chance.share:>4.0%} of the tensors ({chance.touched}) wrong: {chance.slips_through:.3g}"


def _believed(report: Report) -> Iterator[str]:
    if (known := report.believed) is None:
        return
    stewards = ", ".join(steward.name for steward in known.stewards)
    yield f"Whose word this is: round {known.round.hex()} {shown(known.title)},"
    yield f"{'':{WIDTH}}opened by {known.convener.name} ({known.convener.point.hex()}),"
    yield f"{'':{WIDTH}}stewards {stewards} (a quorum is {known.quorum})."
    if known.pinned:
        yield f"{'':{WIDTH}}The round is the one that you named."
    else:
        yield f"{'':{WIDTH}}Nobody checked that this is the round you mean: compare its id with one from a source"
        yield f"{'':{WIDTH}}that you trust, and give it with --round."


def _end(report: Report) -> Iterator[str]:
    if report.fault_proof is not None:
        yield f"A proof for others was written to {shown(report.fault_proof)}: `umm verify --proof FILE` checks it."
    yield verdict(report)


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])).capitalize() or "Nothing"
