"""``umm round create``: what is asked for, and what would be signed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.cli.rounds.create import merged
from protocol.identity import Key, keyfile
from tests.umm.checkpoints import plain

Output = pytest.CaptureFixture[str]

NOTHING: dict[str, Any] = dict.fromkeys(
    ["title", "description", "base", "recipe", "opens", "commit", "reveal", "roster", "merge"]
)
NOTHING |= dict.fromkeys(["steward", "kind", "allow", "licence", "domain"], ())


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a base and a round file, and a node."""
    plain(tmp_path / "base")
    (tmp_path / "round.toml").write_text('title = "Autumn"\nbase = "base"\n[schedule]\ncommit = "2h"\nreveal = "1h"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dry_run_shows_what_would_be_signed(here: Path, made: Path, capsys: Output) -> None:
    assert main(["round", "create", "round.toml", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    name = keyfile.load(made / "key.pem").public.name
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith("Autumn\n")
    assert ["convener", name] in lines
    assert ["stewards", name, "(1", "of", "1", "decide)"] in lines
    assert ["admits", "everybody"] in lines
    assert ["seed", "drawn", "when", "it", "is", "signed"] in lines
    assert next(line for line in lines if line[:1] == ["commit"])[-2:] == ["2", "h"]
    assert next(line for line in lines if line[:1] == ["merge"])[-2:] == ["1", "d"]
    assert out.endswith("Nothing was signed.\n")


def test_programs_get_the_record_itself(here: Path, answer: Callable[..., Any]) -> None:
    from protocol.blobs.folder import manifest_of_folder

    found = answer("round", "create", "round.toml", "--dry-run")
    assert found["signed"] is False
    manifest = manifest_of_folder(here / "base")
    assert found["round"]["base"] == {"root": manifest.root.hex(), "manifest": manifest.id.hex()}
    assert found["round"]["title"] == "Autumn"
    assert "seed" not in found["round"]
    times = found["round"]["schedule"]
    assert times["commit_closes"] - times["commit_opens"] == 7200


def test_options_win_over_the_file(here: Path, answer: Callable[..., Any]) -> None:
    other = Key.generate().public.point.hex()
    options = ["--title", "Winter", "--commit", "3h", "--steward", "me", "--steward", other, "--domain", "math"]
    found = answer("round", "create", "round.toml", *options, "--kind", "delta", "--allow", other, "--dry-run")["round"]
    assert (found["title"], found["kinds"], found["admission"]["keys"]) == ("Winter", ["delta"], [other])
    assert len(found["stewards"]) == 2
    times = found["schedule"]
    assert times["commit_closes"] - times["commit_opens"] == 3 * 3600
    assert times["reveal_closes"] - times["commit_closes"] == 3600, "what no option says stays as in the file"


def test_without_a_file_options_are_enough(here: Path, answer: Callable[..., Any]) -> None:
    assert answer("round", "create", "--title", "T", "--base", "base", "--dry-run")["round"]["title"] == "T"


def test_a_recipe_that_cannot_be_a_rounds_is_refused_before_anything_is_asked(here: Path, capsys: Output) -> None:
    (here / "recipe.yaml").write_text("merge_method: ties\nmodels:\n  - model: /etc/passwd\n")
    assert main(["round", "create", "round.toml", "--recipe", "recipe.yaml"]) == 1
    assert "line 3" in capsys.readouterr().err


def test_a_round_is_opened_by_the_node(here: Path, capsys: Output) -> None:
    assert main(["round", "create", "round.toml"]) == 4
    assert "the node is not running" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["round.json"], "another ending than a round file has"),
        (["gone.toml"], "cannot be read"),
        (["round.toml", "--steward", "bob"], "round.toml: stewards names 'bob', which is no key"),
        (["--base", "base"], "the command line: the round has no title; say what it is for: title, or --title TEXT"),
        (["--title", "x"], "the round has no base; name the model's folder: base, or --base DIR"),
        (["round.toml", "--kind", "dleta"], "'dleta' is no kind of contribution"),
        (["round.toml", "--commit", "soon"], "schedule.commit is a duration such as 2h"),
    ],
)
def test_a_draft_that_cannot_be_is_refused(here: Path, words: list[str], said: str, capsys: Output) -> None:
    assert main(["round", "create", *words, "--dry-run"]) == 1
    assert said in capsys.readouterr().err


def test_paths_among_options_start_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = merged({"base": "b", "recipe": "r", "title": "T"}, NOTHING | {"base": "x", "recipe": "/y"})
    assert found == {"base": str(tmp_path / "x"), "recipe": "/y", "title": "T"}


def test_a_table_that_is_none_is_left_for_the_reader_to_refuse() -> None:
    assert merged({"schedule": 5}, NOTHING | {"commit": "2h"}) == {"schedule": 5}


def test_the_sample_can_be_used_as_it_is(here: Path, capsys: Output, answer: Callable[..., Any]) -> None:
    assert main(["round", "create", "--sample"]) == 0
    (here / "sample.toml").write_text(capsys.readouterr().out)
    assert answer("round", "create", "sample.toml", "--dry-run")["round"]["title"] == "A merge of many experts"
