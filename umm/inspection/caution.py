"""What the measures mean for a merge, in words, with the evidence. Pure: a report in, cautions out.

Where the thresholds come from:

* FAR, NEAR: small language models (under 1 M weights) tuned from one base in two ways. Experts at
  ‖δ‖/‖base‖ of .06 to .07 merged to more than the best of them; of experts at .15 to .25 with cosines near
  zero no merge kept anything. Between is not measured. For models of 3 to 8 B weights the distance of the
  merged model from the base goes with the loss (Hitit, Girrbach, Akata 2025, arXiv 2511.21437).
* UNRELATED: two independent networks of equal scale lie √2 apart; half of that in energy is no fine-tuning.
* MANY: in the same study TIES beat the base in 12 % of merges of 4 experts and 5 % of 8, the mean in 88 and
  100 %.
* SWALLOWED: half of the changes; bfloat16 keeps 8 bits, so it rounds away changes below about 2⁻⁹ of a
  weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import combinations, islice

from umm.inspection import shares
from umm.inspection.kind import Kind
from umm.inspection.report import Group, Look, Report

FAR = 0.15
NEAR = 0.10
UNRELATED = 0.7
ORTHOGONAL = 0.1  # |cosine| below this shares no direction worth the name
COPY = 0.95  # cosine
IDENTICAL = 1e-12  # ‖δᵢ − δⱼ‖² / ‖δᵢ‖², the precision of the sums
MANY = 4  # experts
TOSSED = 0.9  # of the sign conflict that coin tosses would give
SWALLOWED = 0.5
SPIKED = 0.5  # of the energy in the strongest 1 % of rows
WEIGHTY = 0.01  # of an expert's energy: less is no place to warn about
PLACES = 3  # places that one caution names


class Level(Enum):
    """How much a caution matters."""

    DANGER = "danger"  # a merge is likely to collapse
    CAUTION = "caution"  # a merge may lose, or a choice of method depends on it
    NOTE = "note"  # worth knowing


@dataclass(frozen=True)
class Caution:
    """One warning: what, where, the evidence in one clause, what to do. ``code`` is stable, for programs."""

    code: str
    level: Level
    what: str
    where: str
    evidence: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what} ({self.where}): {self.evidence}. {self.advice}"


def cautions(report: Report) -> tuple[Caution, ...]:
    """Every caution the report gives rise to, the gravest first."""
    whole = report.total
    found = [
        *_vocabularies(report),
        *_untouched(report, whole),
        *_distances(report, whole),
        *_places(report, whole),
        *_overshoot(whole),
        *_copies(report, whole),
        *_conflict(report, whole),
        *_swallowed(report, whole),
        *_spikes(report),
        *_tied(report),
    ]
    order = list(Level)
    return tuple(sorted(found, key=lambda caution: order.index(caution.level)))


def _vocabularies(report: Report) -> Iterator[Caution]:
    for v in report.vocabularies:
        rows = zip(v.experts, report.experts, strict=True)
        sizes = ", ".join(f"{n} in {e}" for n, e in rows if n != v.base)
        yield Caution(
            "vocabulary", Level.CAUTION, "vocabularies differ in size", v.tensor,
            f"{v.base} rows in the base, {sizes}; only rows that all have were compared",
            "Give the recipe a `tokenizer` section, so that embeddings are aligned by token.",
        )  # fmt: skip


def _untouched(report: Report, whole: Group) -> Iterator[Caution]:
    for name, zeros in zip(report.experts, whole.sums.zeros.tolist(), strict=True):
        if zeros == whole.sums.count:
            yield Caution(
                "equals-base", Level.CAUTION, "an expert equals the base", name,
                f"all {zeros} deltas are exactly zero", "Leave it out: in a mean it only dilutes the others.",
            )  # fmt: skip


def _distances(report: Report, whole: Group) -> Iterator[Caution]:
    angles = shares.cosines(whole.sums)
    for i, (name, ratio) in enumerate(zip(report.experts, shares.relative(whole.sums), strict=True)):
        if ratio is None or ratio < NEAR:
            continue
        others = [abs(c) for j, c in enumerate(angles[i]) if j != i and c is not None]
        size = f"‖δ‖/‖base‖ is {ratio:.3f}"
        if ratio >= UNRELATED:
            yield Caution(
                "unrelated", Level.DANGER, "an expert does not descend from this base", name,
                f"{size}, and unrelated networks lie at about 1.4",
                "Check the base; models of different origin cannot be merged by their weights.",
            )  # fmt: skip
        elif ratio >= FAR and others and max(others) < ORTHOGONAL:
            yield Caution(
                "left-the-basin", Level.DANGER, "an expert has left the basin of its base", name,
                f"{size} and no cosine with another expert exceeds {max(others):.3f}; "
                "of experts at .15 to .25 with cosines near 0 no merge kept anything",
                "Expect no method to help; tune it again with a smaller learning rate and some of the base's "
                "data.",
            )  # fmt: skip
        elif ratio >= FAR:
            yield Caution(
                "far-from-base", Level.DANGER, "an expert lies far from the base", name,
                f"{size}; experts at .06 to .07 merged well, at .15 to .25 not",
                "Give it a small weight, and compare the merge with the base before using it.",
            )  # fmt: skip
        else:
            yield Caution(
                "far-from-base", Level.CAUTION, "an expert lies rather far from the base", name,
                f"{size}; .06 to .07 merged well, .15 and more did not, between is not known",
                "Start from the mean of deltas and raise lambda only while the result improves.",
            )  # fmt: skip


def _places(report: Report, whole: Group) -> Iterator[Caution]:
    cells = report.cells()
    overall = shares.relative(whole.sums)
    for i, name in enumerate(report.experts):
        energy = float(whole.sums.gram[i, i])
        far = [
            (ratio, place)
            for place, cell in cells.items()
            if (ratio := shares.relative(cell.sums)[i]) is not None
            and ratio >= FAR
            and cell.sums.gram[i, i] >= WEIGHTY * energy
        ]
        mild = overall[i]
        if far and mild is not None and mild < FAR:
            worst = sorted(far, key=lambda f: -f[0])[:PLACES]
            named = ", ".join(f"{place_name(*place)} {ratio:.2f}" for ratio, place in worst)
            yield Caution(
                "far-in-places", Level.CAUTION, "an expert lies far from the base in places", name,
                f"‖δ‖/‖base‖ is {mild:.3f} overall, {FAR} or more in {len(far)} places, the farthest {named}",
                "Give it a smaller weight there, by a `filter` or a gradient over the layers.",
            )  # fmt: skip


def place_name(layer: int | None, kind: Kind) -> str:
    """What to call the tensors of one kind in one layer."""
    return kind.value if layer is None else f"layer {layer} {kind.value}"


def _overshoot(whole: Group) -> Iterator[Caution]:
    mean, plain = shares.reach(whole.sums)
    single = [ratio for ratio in shares.relative(whole.sums) if ratio is not None]
    if mean is not None and plain is not None and plain >= FAR and max(single, default=0) < FAR:
        yield Caution(
            "sum-overshoots", Level.CAUTION, "the plain sum of the deltas lies far from the base",
            "all experts",
            f"the sum lies at {plain:.3f} of ‖base‖, the mean at {mean:.3f}",
            f"With task_arithmetic use normalize: true or a lambda near 1/{len(single)}.",
        )  # fmt: skip


def _copies(report: Report, whole: Group) -> Iterator[Caution]:
    for i, j in combinations(range(len(report.experts)), 2):
        angle = shares.cosine(whole.sums, i, j)
        if angle is None or angle <= COPY:
            continue
        gram = whole.sums.gram
        apart = float(gram[i, i] + gram[j, j] - 2 * gram[i, j])
        same = apart <= IDENTICAL * float(gram[i, i])
        yield Caution(
            "near-copy", Level.CAUTION, "two experts are one" if same else "two experts are nearly the same",
            f"{report.experts[i]} and {report.experts[j]}",
            "their deltas are identical" if same else f"the cosine of their deltas is {angle:.3f}",
            "They count twice in a mean and in a vote over signs: drop one, or halve both weights.",
        )  # fmt: skip


def _conflict(report: Report, whole: Group) -> Iterator[Caution]:
    conflict, chance = shares.conflict(whole.sums), shares.chance(whole.sums)
    if len(report.experts) < MANY or conflict is None or chance is None or conflict < TOSSED * chance:
        return
    yield Caution(
        "sign-conflict", Level.CAUTION, "the experts' signs agree little better than coin tosses",
        "all experts",
        f"signs conflict at {conflict:.0%} of the contested positions, coin tosses would at {chance:.0%}; "
        "with 4 or more unrelated experts a vote over signs (TIES) lost where the mean won",
        "Try linear or task_arithmetic with normalize first; keep ties only if it measures better.",
    )  # fmt: skip


def _swallowed(report: Report, whole: Group) -> Iterator[Caution]:
    kinds = report.kinds()
    for i, (name, lost) in enumerate(zip(report.experts, shares.swallowed(whole.sums), strict=True)):
        if lost is None or lost < SWALLOWED:
            continue
        worst = max(kinds, key=lambda kind: shares.swallowed(kinds[kind].sums)[i] or 0)
        yield Caution(
            "swallowed", Level.CAUTION, "bfloat16 would swallow an expert's changes", name,
            f"{lost:.0%} of its changes vanish when a mean of {len(report.experts)} is stored as bfloat16, "
            f"most in {worst.value}",
            "Write the result with out_dtype: float32, merge fewer experts, or raise this one's weight.",
        )  # fmt: skip


def _spikes(report: Report) -> Iterator[Caution]:
    for look in report.looks:
        for i, name in enumerate(report.experts):
            rows = look.rows[i]
            if rows is None or rows.share < SPIKED or not _weighty(report, look, i):
                continue
            yield Caution(
                "spikes", Level.CAUTION, "a few rows dominate an embedding's delta",
                f"{look.subject.name} in {name}",
                f"{rows.count} of {look.subject.shape[0]} rows hold {rows.share:.0%} of its energy, "
                f"first of all token ids {', '.join(map(str, islice(rows.top, PLACES)))}",
                "Often these are new or special tokens: set them by token in the `tokenizer` section, or "
                "keep the base's embeddings by a `filter`.",
            )  # fmt: skip


def _weighty(report: Report, look: Look, expert: int) -> bool:
    energy = sum(float(other.sums.gram[expert, expert]) for other in report.looks)
    return bool(look.sums.gram[expert, expert] >= WEIGHTY * energy)


def _tied(report: Report) -> Iterator[Caution]:
    for name in report.tied:
        yield Caution(
            "tied-head", Level.NOTE, "the output head is tied to the embedding in some of the models", name,
            "not every folder stores it, so it was not compared",
            "Make sure that tie_word_embeddings in the config says what you want of the merged model.",
        )  # fmt: skip
