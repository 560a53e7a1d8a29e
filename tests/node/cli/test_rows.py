"""Rounds as rows."""

from dataclasses import replace

from node.cli.rounds import rows
from node.cli.rounds.picture import _span, picture
from tests.node.cli.staged_node import staged

NOW = 1_800_000_000.0
DETAIL = staged(NOW)


def test_a_round_that_is_merged_has_no_phase_any_more() -> None:
    summary = DETAIL.summary
    assert rows.round_rows([summary], NOW)[0][2:4] == ["reveal", "in 6 min 40 s"]
    assert rows.round_rows([replace(summary, root=b"r" * 32, revision=0)], NOW)[0][2:4] == ["merged", ""]


def test_the_headline_says_where_a_round_is() -> None:
    summary, root = DETAIL.summary, b"\1" * 32
    cases = {
        "reveal, ends in 6 min 40 s": summary,
        f"merged: root blake3:{root.hex()}": replace(summary, root=root, revision=0),
        f"merged, revision 2: root blake3:{root.hex()}": replace(summary, root=root, revision=2),
        "closed without a model": replace(summary, phase="closed", phase_ends=None),
    }
    for said, found in cases.items():
        assert rows.headline(replace(DETAIL, summary=found), NOW) == said


def test_each_phase_is_over_or_now_or_to_come() -> None:
    assert [row[0] for row in rows.phase_rows(DETAIL, NOW)] == ["commit", "reveal", "roster", "merge"]
    assert [row[3] for row in rows.phase_rows(DETAIL, NOW)] == [
        "over", "now, ends in 6 min 40 s", "in 6 min 40 s", "in 23 min 20 s"
    ]  # fmt: skip


def test_what_a_round_admits_is_told_where_it_is_restricted() -> None:
    terms = replace(DETAIL.terms, keys=(b"\2" * 33,), domains=("math",), max_norm="3.5")
    found = dict(rows.terms_facts(["delta"], terms))
    assert found["admits"] == "1 key of a list"
    assert found["domains"] == "math"
    assert found["limits"].endswith(", norm 3.5 at most")
    assert "domains" not in dict(rows.terms_facts(["delta"], DETAIL.terms))


def test_the_bar_runs_from_the_beginning_of_the_phase_to_its_end() -> None:
    times = DETAIL.times
    assert _span(DETAIL, NOW) == (times.commit_closes, times.reveal_closes)
    early = replace(DETAIL, summary=replace(DETAIL.summary, phase_ends=float(times.commit_opens)))
    assert _span(early, times.commit_opens - 10.0) == (times.commit_opens - 10.0, times.commit_opens)
    late = replace(DETAIL, summary=replace(DETAIL.summary, phase_ends=None))
    assert _span(late, NOW) == (times.commit_closes, None)


def test_a_picture_is_drawn_of_any_round_on_any_terminal() -> None:
    import io

    from rich.console import Console

    for height in (1, 10, 100):
        for width in (20, 80, 200):
            for detail in (
                DETAIL,
                replace(DETAIL, entries=(), stewards=()),
                replace(DETAIL, entries=DETAIL.entries * 99),
            ):
                seen = Console(file=io.StringIO(), width=width, height=height)
                seen.print(picture(detail, [], None, NOW, height))
