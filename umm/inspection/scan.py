"""Reading base and experts side by side, in tiles, on several threads, within a memory budget.

Results do not depend on the number of threads: stretches are cut by size alone and added up in their order.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.floats import read_widened
from umm.checkpoint.layers import main_stack
from umm.checkpoint.reader import Checkpoint
from umm.checkpoint.source import Source
from umm.errors import CheckpointError, EnvironmentFault
from umm.inspection.kind import Kind
from umm.inspection.lineup import Shape, Subject, line_up
from umm.inspection.report import Look, Report, Rows, top_rows
from umm.inspection.spectrum import SAMPLE_ELEMENTS, Spectrum, sample_rows, spectrum
from umm.inspection.sums import Doubles, Floats, Sums, measure, total

TILE = 1 << 16  # elements measured at once; small enough to stay in cache
STRETCH = 1 << 22  # elements of one piece of work
ROWS_LIMIT = 1 << 20  # rows of an embedding whose energies are kept one by one
SAMPLE_BYTES = 5 * 4 * SAMPLE_ELEMENTS  # a sample of the base, of a delta, and what its spectrum needs

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class _Stretch:
    subject: Subject
    sources: Sequence[Source]
    start: int
    count: int
    tile: int
    rows: bool  # whether energies of single rows are wanted; stretches and tiles then hold whole rows

    @property
    def bytes(self) -> int:
        """What reading it takes."""
        return self.count * sum(source.dtype.width for source in self.sources)


@dataclass(frozen=True)
class _Part:
    sums: Sums
    rows: Doubles | None


def worker_bytes(experts: int) -> int:
    """What one thread holds at most while it works on so many experts."""
    return max(TILE * (16 * experts + 48), SAMPLE_BYTES)


def scan(base: Path, experts: Sequence[Path], *, threads: int, memory: int, progress: Progress) -> Report:
    """Look at every tensor of ``experts`` against ``base``, within so many threads and bytes of memory."""
    workers = min(threads, memory // worker_bytes(len(experts)))
    if workers < 1:
        raise EnvironmentFault(
            f"a look at {len(experts)} experts needs {(worker_bytes(len(experts)) >> 20) + 1} MiB for one "
            f"thread, the budget is {memory >> 20} MiB; raise --memory"
        )
    labels = names(experts)
    with ExitStack() as stack:
        models = [stack.enter_context(Checkpoint.open(folder)) for folder in (base, *experts)]
        shapes = [_shapes(model) for model in models]
        layers = main_stack(shapes[0], models[0].config)
        lineup = line_up(shapes[0], dict(zip(labels, shapes[1:], strict=True)), layers)
        sources = {s.name: [model.source(s.name) for model in models] for s in lineup.subjects}
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        looks = _looks(pool, lineup.subjects, sources, (base.name, *labels), progress)
    return Report(str(base), tuple(labels), looks, lineup.vocabularies, lineup.tied)


def _shapes(model: Checkpoint) -> dict[str, Shape]:
    # Masks and counters are integers; they carry nothing to merge.
    return {n: t.shape for n, t in model.tensors.items() if Dtype.from_header(t.dtype) is not None}


def names(experts: Sequence[Path]) -> list[str]:
    """What to call each expert: the name of its folder, or its whole path where names repeat."""
    short = [folder.resolve().name for folder in experts]
    calls = [s if short.count(s) == 1 else str(folder) for s, folder in zip(short, experts, strict=True)]
    return [c if calls.count(c) == 1 else f"{c} #{i + 1}" for i, c in enumerate(calls)]


def _looks(
    pool: ThreadPoolExecutor,
    subjects: Sequence[Subject],
    sources: Mapping[str, Sequence[Source]],
    models: tuple[str, ...],
    progress: Progress,
) -> tuple[Look, ...]:
    stretches = [stretch for s in subjects for stretch in _stretches(s, sources[s.name])]
    samples = [_sample_bytes(s, sources[s.name]) for s in subjects]
    done, size = 0, sum(samples) + sum(stretch.bytes for stretch in stretches)
    spectra, parts = [], dict[str, list[_Part]]()
    for found, read in zip(pool.map(lambda s: _spectra(s, sources[s.name]), subjects), samples, strict=True):
        spectra.append(found)
        done += read
        progress(done, size)
    for stretch, part in zip(stretches, pool.map(_measure, stretches), strict=True):
        if not part.sums.finite:
            raise CheckpointError(_not_finite(stretch.subject, part.sums, models))
        parts.setdefault(stretch.subject.name, []).append(part)
        done += stretch.bytes
        progress(done, size)
    return tuple(
        _look(subject, parts.get(subject.name, []), seen, len(models) - 1)
        for subject, seen in zip(subjects, spectra, strict=True)
    )


def _look(subject: Subject, parts: list[_Part], spectra: tuple[Spectrum | None, ...], experts: int) -> Look:
    energies = [part.rows for part in parts if part.rows is not None]
    rows: tuple[Rows | None, ...] = (None,) * experts
    if energies:
        rows = tuple(top_rows(row) for row in np.concatenate(energies, axis=1))
    sums = total([part.sums for part in parts], experts)
    return Look(subject, sums, spectra, rows)


def _stretches(subject: Subject, sources: Sequence[Source]) -> list[_Stretch]:
    columns = subject.shape[-1] if len(subject.shape) == 2 else 0
    by_token = subject.kind in (Kind.EMBEDDING, Kind.HEAD)
    rows = by_token and 0 < columns <= TILE and subject.shape[0] <= ROWS_LIMIT
    grain = columns if rows else 1
    step, tile = STRETCH - STRETCH % grain, TILE - TILE % grain
    return [
        _Stretch(subject, sources, start, min(step, subject.count - start), tile, rows)
        for start in range(0, subject.count, step)
    ]


def _measure(stretch: _Stretch) -> _Part:
    columns = stretch.subject.shape[-1] if stretch.rows else 1
    sums, rows = [], []
    with np.errstate(all="ignore"):  # NaN and infinity show in the sums and are refused by name
        for start in range(stretch.start, stretch.start + stretch.count, stretch.tile):
            count = min(stretch.tile, stretch.start + stretch.count - start)
            base = read_widened(stretch.sources[0], start, count)
            deltas = np.stack([read_widened(source, start, count) - base for source in stretch.sources[1:]])
            sums.append(measure(base, deltas))
            if stretch.rows:
                squares = deltas.astype(np.float64).reshape(len(deltas), -1, columns) ** 2
                rows.append(squares.sum(axis=2))
        energies = np.concatenate(rows, axis=1) if rows else None
        return _Part(total(sums, len(deltas)), energies)


def _spectra(subject: Subject, sources: Sequence[Source]) -> tuple[Spectrum | None, ...]:
    chosen = sample_rows(subject.shape)
    if not len(chosen):
        return (None,) * (len(sources) - 1)
    with np.errstate(all="ignore"):
        base = _read_rows(sources[0], chosen.tolist(), subject.shape[1])
        deltas = (_read_rows(source, chosen.tolist(), subject.shape[1]) - base for source in sources[1:])
        return tuple(spectrum(delta) if np.isfinite(delta).all() else None for delta in deltas)


def _read_rows(source: Source, rows: list[int], columns: int) -> Floats:
    if rows[-1] - rows[0] + 1 == len(rows):
        return read_widened(source, rows[0] * columns, len(rows) * columns).reshape(-1, columns)
    found = np.empty((len(rows), columns), np.float32)
    for place, row in enumerate(rows):
        found[place] = read_widened(source, row * columns, columns)
    return found


def _sample_bytes(subject: Subject, sources: Sequence[Source]) -> int:
    values = len(sample_rows(subject.shape)) * (subject.shape[-1] if subject.shape else 0)
    return values * sum(source.dtype.width for source in sources)


def _not_finite(subject: Subject, sums: Sums, models: tuple[str, ...]) -> str:
    energies = np.diagonal(sums.gram).tolist()
    where = [model for model, energy in zip(models[1:], energies, strict=True) if not isfinite(energy)]
    if not isfinite(sums.base_energy):
        where = [models[0]]
    return f"{subject.name} holds NaN or infinity in {', '.join(where)}; leave this model out of every merge"
