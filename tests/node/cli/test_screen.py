"""What is shown, and where."""

import json
from pathlib import Path

import pytest

from node.cli.plain import plain
from node.cli.progress import amount, bar
from node.cli.screen import Screen, aligned, printable
from node.cli.times import ahead, lasting, local, short
from node.control.orders import Role, RoundOrder
from tests.node.cli.terminal import Terminal

Output = pytest.CaptureFixture[str]

SHOWS = (
    "-c",
    "from node.cli.screen import Screen\ns = Screen(json=False)\ns.marked('ok', 'green', 'all \\x1b[2J well')\n"
    "s.table(['a', 'b'], [['1', 'x' * 90], ['22', '[red]y']])\ns.advise('next')\n",
)


def test_at_a_terminal_there_are_colours_and_columns_that_fit() -> None:
    seen = Terminal(program=SHOWS, env={"NO_COLOR": ""}).end()
    assert "\x1b[32mok   \x1b[0m all \ufffd[2J well" in seen.raw
    assert max(map(len, seen.text.splitlines())) <= 120
    assert "[red]y" in seen.text, "what others wrote is no markup"
    assert "next" in seen.text


def test_who_wants_no_colours_gets_none() -> None:
    assert "[32m" not in Terminal(program=SHOWS, env={"NO_COLOR": "1"}).end().raw
    dumb = Terminal(program=SHOWS, env={"TERM": "dumb"}).end()
    assert "\x1b" not in dumb.raw
    assert "next" not in dumb.text


def test_in_a_pipe_there_are_plain_lines_of_any_length(capsys: Output) -> None:
    screen = Screen(json=False)
    screen.marked("ok", "green", "well")
    screen.table(["a", "b"], [["1", "x" * 200], ["22", "y\x1b"]])
    screen.advise("next")
    screen.document({"a": 1})
    assert capsys.readouterr().out == f"ok    well\na   b\n1   {'x' * 200}\n22  y\ufffd\n"


def test_for_programs_there_is_json_alone(capsys: Output) -> None:
    screen = Screen(json=True)
    screen.say("text")
    screen.table(["a"], [["1"]])
    screen.facts([("a", "b")])
    screen.marked("ok", "green", "x")
    screen.document({"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_a_bar_that_nobody_sees_still_takes_notes(capsys: Output) -> None:
    with bar(Screen(json=False), "work", 10) as seen:
        seen.advance(5)
        seen.at(7, 10, "more")
        seen.note("compiling")
    assert capsys.readouterr() == ("", "umm: compiling\n")
    with bar(Screen(json=False), "work", quiet=True) as seen:
        seen.note("compiling")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [(5e8, 2e9, "B", "500.0 MB of 2.0 GB"), (5e8, None, "B", "500.0 MB"), (3, 12, "tensors", "3 of 12 tensors"),
     (3, 0, "tensors", "3 tensors")],
)  # fmt: skip
def test_progress_is_spelled(done: float, total: float | None, unit: str, text: str) -> None:
    assert amount(done, total, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (90, "1 min 30 s"), (3600, "1 h"), (3661, "1 h 1 min"),
     (86_400 + 59, "1 d"), (90_000, "1 d 1 h"), (10**7, "115 d 17 h")],
)  # fmt: skip
def test_spans_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_moments_are_told_from_now() -> None:
    assert ahead(100.0, 40.0) == "in 1 min"
    assert ahead(40.0, 100.0) == "1 min ago"
    assert ahead(None, 0.0) == ""
    assert short(None) == ""


def test_moments_have_the_zone_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    assert local(1_800_000_000) == "Fri 15 Jan 2027 09:00:00 CET"
    monkeypatch.undo()
    time.tzset()


def test_answers_become_plain_json() -> None:
    assert plain(RoundOrder(round=b"a" * 32)) == {"round": "61" * 32}
    assert plain([Path("/x"), Role.READER, (1, None)]) == ["/x", "reader", [1, None]]


def test_columns_line_up() -> None:
    assert aligned(["a", "b"], [["1", "2"], ["333", ""]]) == "a    b\n1    2\n333"


def test_what_could_steer_a_terminal_is_taken_out() -> None:
    assert printable("a\x1b[2J\r\n\u202eb\x07") == "a\ufffd[2J\ufffd\ufffd\ufffdb\ufffd"
