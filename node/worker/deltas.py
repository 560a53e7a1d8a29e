"""Exact deltas in a child process: packed from an expert, unpacked onto the base."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.worker.jobs import Decode, Encode
from node.worker.likeness import RefusalError, check_config, check_copies, check_tensors, check_vocabulary
from umm.checkpoint.reader import Checkpoint
from umm.delta import decimal
from umm.delta import decode as unpack
from umm.delta import encode as pack
from umm.errors import CheckpointError, MismatchError

Report = Callable[[str, int, int], None]


def encode(job: Encode, report: Report) -> Mapping[str, Any]:
    """Write the delta of ``expert`` on ``base``; refuses what a steward would refuse."""
    _require_alike(job)
    bar = _Bar("encode", job.expert, None, report)
    made = pack(job.base, job.expert, job.out, threads=job.threads or None, progress=bar.add)
    try:
        norm = decimal(made.norm)
    except CheckpointError:
        shutil.rmtree(job.out)  # nobody would take it
        raise
    return {"norm": norm, "raw_bytes": made.raw_bytes, "packed_bytes": made.packed_bytes}


def decode(job: Decode, report: Report) -> Mapping[str, Any]:
    """Write the expert that ``delta`` makes of ``base``, or just some of its tensors."""
    bar = _Bar("decode", job.base, job.only, report)
    unpack(job.base, job.delta, job.out, only=job.only, progress=bar.add)
    return {}


def _require_alike(job: Encode) -> None:
    """What a steward checks of headers and files, before anything is packed."""
    with Checkpoint.open(job.base) as base, Checkpoint.open(job.expert) as expert:
        try:
            check_tensors(base, expert)
            check_config(base.config, expert.config)
            check_vocabulary(base, job.expert)
            check_copies(base, expert)
        except RefusalError as refusal:
            raise MismatchError(f"{job.expert} cannot be contributed: {refusal}") from None


class _Bar:
    """Progress in bytes of a model's tensors."""

    def __init__(self, what: str, model: Path, only: frozenset[str] | None, report: Report) -> None:
        with Checkpoint.open(model) as opened:
            chosen = (tensor for tensor in opened.tensors.values() if only is None or tensor.name in only)
            self._total = sum(tensor.size for tensor in chosen)
        self._what, self._report, self._done = what, report, 0

    def add(self, size: int) -> None:
        """So many bytes more."""
        self._done += size
        self._report(self._what, min(self._done, self._total), self._total)
