"""``umm verify`` as people type it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli import main
from protocol.modelsigning import public_pem, sign_folder, write_bundle
from tests.node.verify import rounds
from tests.node.verify.rounds import World
from tests.protocol.keys import key

LIE = "model.layers.1.mlp.up_proj.weight"

PROGRAM = """
import sys
from node.cli import main
code = main(["verify", sys.argv[1]])
heavy = ("torch", "numpy", "hivemind", "grpc", "transformers", "umm.merge", "rich", "node.worker", "protocol.swarm")
print(code, [name for name in heavy if name in sys.modules])
"""


@pytest.fixture(scope="module")
def cheated(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One steward, who lied."""
    return rounds.make(tmp_path_factory.mktemp("cli") / "round", cheat=lambda model: rounds.flip(model, LIE))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a node."""
    monkeypatch.setenv("UMM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_a_sound_model_is_0_and_its_report_says_what_was_not_checked(
    cheated: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(cheated.model)]) == 0
    said = capsys.readouterr().out
    assert said.endswith("Integrity and authority: everything that was checked holds.\n")
    assert "--audit K" in said


def test_json_is_one_document(cheated: World, capsys: pytest.CaptureFixture[str]) -> None:
    round_id = cheated.step.round.id.hex()
    assert main(["verify", str(cheated.model), "--json", "--round", round_id]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["code"], document["believed"]["round"], document["believed"]["pinned"]) == (0, round_id, True)


def test_a_changed_model_is_3(cheated: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoilt = cheated.pulled(tmp_path / "spoilt")
    rounds.flip(spoilt.model, LIE, 5)
    assert main(["verify", str(spoilt.model)]) == 3
    assert f"'{LIE}' has other values" in capsys.readouterr().out


def test_another_round_than_the_one_that_was_meant_is_3(cheated: World) -> None:
    assert main(["verify", str(cheated.model), "--round", "00" * 32]) == 3


def test_a_key_is_read_from_pem(cheated: World, tmp_path: Path) -> None:
    signed = cheated.pulled(tmp_path / "signed")
    write_bundle(signed.model, sign_folder(signed.model, key(77)))
    for number, code in ((77, 0), (78, 3)):
        (tmp_path / f"{number}.pem").write_bytes(public_pem(key(number).public))
        assert main(["verify", str(signed.model), "--key", str(tmp_path / f"{number}.pem")]) == code


def test_what_cannot_be_merged_again_is_4(cheated: World) -> None:
    assert main(["verify", str(cheated.model), "--audit", "3"]) == 4
    assert main(["verify", str(cheated.model), "--recompute", "--base", str(cheated.base)]) == 4


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["folder", "--proof", "fault.umm"],
        ["folder", "--round", "abc"],
        ["folder", "--round", "zz" * 32],
        ["folder", "--audit", "0"],
        ["folder", "--audit", "some"],
        ["folder", "other"],
    ],
)
def test_a_wrong_command_line_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *words]) == 2
    assert "usage: umm verify" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere is not a folder"),
        (["--proof", "nowhere.umm"], "there is no file nowhere.umm"),
        ([".", "--key", "nowhere.pem"], "there is no file nowhere.pem"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", *words]) == 1
    assert message in capsys.readouterr().err


def test_rubbish_in_place_of_a_key_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rubbish.pem").write_text("rubbish")
    assert main(["verify", ".", "--key", "rubbish.pem"]) == 1
    assert "holds no P-256 public key" in capsys.readouterr().err


@pytest.mark.slow
def test_a_lie_is_found_proven_and_the_proof_confirmed_by_others(
    cheated: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ["--base", str(cheated.base), "--contributions", str(cheated.contributions)]
    assert main(["verify", str(cheated.model), "--recompute", *inputs]) == 3
    assert "A proof for others was written to 'fault.umm'" in capsys.readouterr().out
    assert main(["verify", "--proof", "fault.umm"]) == 4
    assert "not settled" in capsys.readouterr().out
    assert main(["verify", "--proof", "fault.umm", *inputs]) == 0
    shutil.copy("fault.umm", tmp_path / "spoilt.umm")
    (tmp_path / "spoilt.umm").write_bytes((tmp_path / "spoilt.umm").read_bytes()[:-1])
    assert main(["verify", "--proof", "spoilt.umm", *inputs]) == 3


def test_the_cheap_levels_load_nothing_heavy(cheated: World) -> None:
    words = [sys.executable, "-c", PROGRAM, str(cheated.model)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.splitlines()[-1] == "0 []"
