"""How commands fail: in a sentence, with a code, as JSON where that was asked for, and without a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from node.cli import main
from node.cli.failure import report, sentence
from node.cli.verbs import VERBS
from node.errors import UnreachableError

Output = pytest.CaptureFixture[str]
NAMES = [name for section in VERBS.values() for name in section]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["merg"], "no such command 'merg'; did you mean merge?"),
        (["xyzzy"], "no such command 'xyzzy'; there are: merge, "),
        (["round", "lsit"], "no such command 'lsit'; did you mean list?"),
        (["key", "exprot"], "no such command 'exprot'; did you mean export?"),
        (["merge", "--dryrun", "r"], "there is no option --dryrun; did you mean --dry-run?"),
        (["status", "--xyzzy"], "there is no option --xyzzy"),
        (["completion", "bsh"], "invalid value for 'SHELL': 'bsh' is not one of 'bash', 'zsh', 'fish'"),
        (["log", "-n", "-3"], "invalid value for '-n' / '--lines': -3 is not in the range"),
        (["pull", "x"], "missing argument 'OUT'"),
        (["contribute", "x"], "missing option '--expert'"),
    ],
)
def test_a_wrong_line_has_a_neighbour(words: list[str], said: str, capsys: Output) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    *head, last = err.splitlines()
    assert last.startswith(f"umm: {said}")
    assert [line.split(":")[0] for line in head] == ["usage", "help"]
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"error": last.removeprefix("umm: "), "exit_code": 2}


@pytest.mark.parametrize("name", [n for n in NAMES if n != "verify"])
def test_every_command_has_help_that_fits_and_takes_json(name: str, capsys: Output) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: umm {name} ")
    assert max(map(len, out.splitlines())) <= 100
    if name not in ("round", "key", "config"):
        assert "--json" in out


@pytest.mark.parametrize("words", [["round"], ["key"], ["config"]])
def test_families_list_their_commands(words: list[str], capsys: Output) -> None:
    assert main([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert main(words) == 2
    assert capsys.readouterr().err == out


def test_after_two_hyphens_nothing_is_an_option(capsys: Output) -> None:
    assert main(["methods", "--", "--json"]) == 1
    assert capsys.readouterr().err.startswith("umm: unknown merge method --json")


def test_errors_of_the_rooms_are_objects_where_that_was_asked_for(home: Path, answer: Callable[..., Any]) -> None:
    assert answer("methods", "tise", code=1) == {
        "error": "unknown merge method tise; did you mean ties? Valid: arcee_fusion, "
        + answer("methods", "tise", code=1)["error"].partition("Valid: arcee_fusion, ")[2],
        "exit_code": 1,
    }
    assert answer("key", "show", code=1)["exit_code"] == 1


def test_a_node_that_does_not_run_is_4(made: Path, answer: Callable[..., Any], capsys: Output) -> None:
    said = "the node is not running; start it with: umm node"
    assert answer("status", code=4) == {"error": said, "exit_code": 4}
    assert main(["round", "list"]) == 4
    assert capsys.readouterr().err == f"umm: {said}\n"


def test_where_there_is_no_node_at_all_that_is_said(home: Path, capsys: Output) -> None:
    assert main(["status"]) == 1
    assert f"there is no node in {home}; make one with: umm init" in capsys.readouterr().err


def test_the_traceback_is_shown_to_who_asks_for_it(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    main(["key", "show"])
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("UMM_DEBUG", "1")
    main(["key", "show"])
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("umm: there is no node in ")


def test_a_fault_of_the_program_says_so_in_a_sentence(capsys: Output) -> None:
    assert report(ZeroDivisionError("division by zero"), []) == 1
    assert capsys.readouterr().err == (
        "umm: this is a fault of the program (ZeroDivisionError: division by zero); "
        "please report it with what UMM_DEBUG=1 shows\n"
    )


def test_several_errors_at_once_are_one_sentence() -> None:
    both = ExceptionGroup("two", [UnreachableError("a is away"), ExceptionGroup("x", [UnreachableError("b is away")])])
    assert sentence(both) == "a is away; b is away"
    assert report(both, ["--json"]) == 4


def test_clicks_words_fit_into_ours() -> None:
    assert sentence(click.UsageError("Missing thing.")) == "missing thing"
    assert sentence(click.UsageError("OUT is missing")) == "OUT is missing"
    assert sentence(click.Abort()) == "interrupted"


def test_an_interrupt_with_json_is_an_object(capsys: Output) -> None:
    assert report(KeyboardInterrupt("kept"), ["merge", "--json"]) == 130
    assert json.loads(capsys.readouterr().out) == {"error": "interrupted: kept", "exit_code": 130}
