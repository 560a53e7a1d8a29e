"""The commands that ask the node, with a node in a process of its own at the other end of a real socket."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.cli.doctor import _running
from node.cli.rounds import watch
from node.cli.screen import Screen
from node.control.progress import Progress
from node.control.views import Event
from node.doctor.examination import Need
from tests.node.cli.staged_node import MINE, ROUND, TITLE
from tests.node.cli.terminal import ROOT, Terminal, in_a_terminal

Output = pytest.CaptureFixture[str]
SHORT = ROUND.hex()[:12]


@contextmanager
def a_node() -> Iterator[Path]:
    """A home with a key and a running node; the path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="umm-") as folder:
        home = Path(folder) / "home"
        env = {**os.environ, "UMM_HOME": str(home), "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-m", "node.cli", "init"], env=env, check=True, capture_output=True)
        command = [sys.executable, "-m", "tests.node.cli.staged_node", str(home / "control.sock")]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as child:
            try:
                assert child.stdout
                assert child.stdout.readline() == "ready\n"
                yield home
            finally:
                child.kill()


@pytest.fixture(scope="module")
def staged() -> Iterator[Path]:
    with a_node() as home:
        yield home


@pytest.fixture
def running(staged: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UMM_HOME", str(staged))
    return staged


def said(capsys: Output, *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_status_says_what_becomes_of_contributions(running: Path, capsys: Output, answer: Callable[..., Any]) -> None:
    out = said(capsys, "status")
    assert out.startswith("brave-otter-41, running for ")
    assert "the stewards agree on the roster in 6 min" in out
    assert "5 B of 10 B" in out
    found = answer("status")
    assert found["offers"][0] == {
        "id": MINE.hex(), "round": ROUND.hex(), "round_title": TITLE, "kind": "delta", "domain": "math", "title": None,
        "state": "accepted", "reason": None, "since": found["offers"][0]["since"],
        "next": "the stewards agree on the roster", "next_at": found["offers"][0]["next_at"],
    }  # fmt: skip
    assert found["rounds"][0]["id"] == ROUND.hex()


def test_rounds_are_listed(running: Path, capsys: Output, answer: Callable[..., Any]) -> None:
    header, line = said(capsys, "round", "list").splitlines()
    assert header.split() == ["id", "title", "phase", "ends", "offers", "you", "are", "model"]
    assert line.startswith(f"{SHORT}  {TITLE}  reveal  in 6 min")
    assert answer("round", "list")[0]["phase"] == "reveal"


@pytest.mark.parametrize("name", [SHORT, ROUND.hex(), f"blake3:{ROUND.hex().upper()}", f"{SHORT[:4]}…"])
def test_a_round_is_named_by_its_id_or_the_beginning_of_it(
    running: Path, name: str, answer: Callable[..., Any]
) -> None:
    assert answer("round", "show", name)["summary"]["title"] == TITLE


def test_a_round_is_shown(running: Path, capsys: Output) -> None:
    out = said(capsys, "round", "show", SHORT)
    assert out.startswith(f"{TITLE}\nreveal, ends in 6 min")
    assert "everybody" in out
    assert "Stewards (3 of 4 decide)" in out
    assert "Contributions (7; 7 commitments)" in out
    assert "2 more: umm round show abababababab --skip 5" in out
    assert "holds NaN \ufffd[2J and so cannot be merged" in out
    assert "\x1b" not in out
    assert said(capsys, "round", "show", SHORT, "--recipe") == "merge_method: ties\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("abc", "is no round that this node knows"),
        ("ffff", "is no round that this node knows"),
        ("x" * 64, "is no round"),
    ],
)
def test_a_round_that_nobody_means_is_refused(running: Path, name: str, why: str, capsys: Output) -> None:
    assert main(["round", "show", name]) == 1
    assert why in capsys.readouterr().err


def test_a_round_that_the_node_does_not_know_is_its_error(running: Path, answer: Callable[..., Any]) -> None:
    found = answer("round", "show", "ff" * 32, code=1)
    assert found == {"error": f"the round {'ff' * 32} is not known here; follow it first", "exit_code": 1}


def test_joining_says_what_one_is(running: Path, capsys: Output) -> None:
    assert said(capsys, "round", "join", SHORT, "--as", "steward").startswith(f"{TITLE}: reveal, ends in 6 min")


def test_who_would_be_refused_learns_why_and_exits_1(running: Path, capsys: Output, answer: Callable[..., Any]) -> None:
    assert said(capsys, "round", "can-join", SHORT, "--licence", "mit") == "Yes.\n"
    assert said(capsys, "round", "can-join", SHORT, "--licence", "gpl", code=1) == "No:\n  allowed are ('mit',)\n"
    assert answer("round", "can-join", SHORT, "--licence", "gpl", code=1) == {
        "admitted": False,
        "reasons": [{"word": "licence", "text": "allowed are ('mit',)"}],
    }


def test_a_contribution_is_offered(running: Path, tmp_path: Path, capsys: Output, answer: Callable[..., Any]) -> None:
    words = ["contribute", SHORT, "--expert", str(tmp_path), "--domain", "math", "--licence", "mit"]
    claims = ["--claim", "gsm8k:exact-match:0.81:1319", "--claim", "http://x:acc:1:5"]
    out = said(capsys, *words, *claims)
    assert out.startswith("contribution ")
    assert out.endswith("  delta, 7 B, root blake3:" + "72" * 32 + ", norm 0.25\n  commitments open\n")
    dry = said(capsys, *words, "--dry-run")
    assert dry.startswith("This would be admitted: delta, 7 B")
    assert dry.endswith("Nothing was signed.\n")
    assert answer(*words)["size"] == 7


@pytest.mark.parametrize("claim", ["x", "a:b:c", "a:b:0.5:many", "a::0.5:1", ":::"])
def test_a_claim_has_four_parts(running: Path, tmp_path: Path, capsys: Output, claim: str) -> None:
    words = ["contribute", SHORT, "--expert", str(tmp_path), "--domain", "math", "--licence", "mit"]
    assert main([*words, "--claim", claim]) == 2
    assert "is not SUITE:METRIC:SCORE:ITEMS" in capsys.readouterr().err


def test_an_expert_that_is_not_there_is_a_wrong_command_line(running: Path, capsys: Output) -> None:
    assert main(["contribute", SHORT, "--expert", "/gone", "--domain", "math", "--licence", "mit"]) == 2
    assert "/gone" in capsys.readouterr().err


def test_a_model_is_pulled(running: Path, capsys: Output, answer: Callable[..., Any]) -> None:
    assert said(capsys, "pull", SHORT, "out") == (
        f"out: root blake3:{'72' * 32}\n  1.1 TB fetched in 0 s, the rest was here\n"
    )
    assert answer("pull", SHORT, "out", "--revision", "3")["revision"] == 3
    assert answer("pull", "ee" * 32, "out", code=4)["error"].startswith("nobody has eeee")


def test_a_pull_shows_progress_and_what_to_do_next(running: Path) -> None:
    seen = in_a_terminal("pull", SHORT, "out")
    assert seen.code == 0, seen.text
    assert "hashing" in seen.text
    assert "5 B of 10 B" in seen.text
    assert "umm verify out" in seen.text


def test_contributions_are_withdrawn_and_rounds_left_by_the_beginning_of_their_ids(
    answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_node() as home:
        monkeypatch.setenv("UMM_HOME", str(home))
        assert answer("round", "withdraw", "c1c1", "--reason", "a mistake")["contribution"] == MINE.hex()
        assert answer("status")["offers"] == []
        assert answer("round", "withdraw", "c1c1", code=1)["error"].startswith("'c1c1' is no contribution")
        assert answer("round", "leave", SHORT) == {"round": ROUND.hex(), "followed": False}
        assert answer("round", "list") == []


def test_a_revision_is_asked_for(running: Path, capsys: Output) -> None:
    assert said(capsys, "round", "revise", SHORT, "--reason", "x") == "Asked the stewards for revision 1.\n"


def test_peers_say_why_they_are_away(running: Path, capsys: Output) -> None:
    assert said(capsys, "peers").splitlines()[1].split("  ") == ["calm-heron-7", "it is away", "127.0.0.1:1", "QmOther"]


def test_the_log_is_lines(running: Path, capsys: Output) -> None:
    lines = said(capsys, "log", "-n", "2").splitlines()
    assert [line.split(" info    ")[1] for line in lines] == ["node: line 1", "node: line 2"]
    lines = said(capsys, "log", "--json").splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["line 0", "line 1", "line 2"]


def test_who_follows_the_log_leaves_with_ctrl_c(running: Path) -> None:
    terminal = Terminal("log", "-f")
    terminal.until("line 2")
    terminal.type("\x03")
    seen = terminal.end()
    assert seen.code == 130
    assert seen.text.endswith("umm: interrupted\n")
    assert "Traceback" not in seen.text


def test_a_pause_lasts_until_the_node_is_told_to_go_on(
    running: Path, capsys: Output, answer: Callable[..., Any]
) -> None:
    assert said(capsys, "pause") == "Paused. To go on: umm resume\n"
    assert answer("status")["paused"] is True
    assert "(paused; to go on: umm resume)" in said(capsys, "status")
    assert said(capsys, "resume") == "Going on.\n"
    assert answer("status")["paused"] is False


def test_a_node_that_is_stopped_is_gone_when_the_command_returns(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_node() as home:
        monkeypatch.setenv("UMM_HOME", str(home))
        assert said(capsys, "stop") == "Stopped.\n"
        assert main(["status"]) == 4


def test_the_doctor_sees_a_node_that_runs_and_what_its_rounds_need(running: Path, capsys: Output) -> None:
    assert main(["round", "join", SHORT, "--as", "steward"]) == 0
    found = _running()
    assert found is not None
    assert found.text.startswith("has been running for ")
    assert found.needs[0] == Need(TITLE, 10**10)


# -- watching --------------------------------------------------------------------------------------------------------


def test_a_program_that_watches_gets_an_object_for_each_event(staged: Path) -> None:
    command = [sys.executable, "-m", "node.cli", "round", "watch", SHORT, "--json"]
    env = {**os.environ, "UMM_HOME": str(staged)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        seen = [json.loads(child.stdout.readline()) for _ in range(4)]
        child.terminate()
    assert [one["event"] for one in seen] == ["progress", "phase", "phase", "phase"]
    assert seen[2]["text"] == "calm-heron-7: a contribution"


def test_whoever_watches_through_a_pipe_gets_a_line_for_each_event(capsys: Output) -> None:
    async def happening() -> AsyncGenerator[Event | Progress, None]:
        yield Progress(what="merging", done=1, total=2, unit="tensors")
        yield Event(round=ROUND, at=0.0, what="phase", text="reveals\x1b are open", subject=None)

    asyncio.run(watch._lines(Screen(json=False), happening()))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("  reveals\ufffd are open")


def test_a_terminal_shows_the_round_as_it_happens() -> None:
    with a_node() as home:
        terminal = Terminal("round", "watch", SHORT, env={"UMM_HOME": str(home)})
        terminal.until("red")
        terminal.type("\x03")
        seen = terminal.end()
    assert seen.code == 130
    for text in (
        TITLE,
        "reveal",
        "left",
        "Contributions (7; 7 commitments)",
        "(you)",
        "attested",
        "\ufffd[31mred\ufffd",
    ):
        assert text in seen.text
    assert "\x07" not in seen.raw
    assert "\x1b[?25h" in seen.raw, "the cursor is back"
