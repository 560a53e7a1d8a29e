"""``umm merge`` as somebody types it."""

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from node.cli import main
from tests.umm.checkpoints import content, merged, plain, recipe
from tests.umm.tokenizers_made import byte_level
from umm.checkpoint.folder import PARTIAL
from umm.digest import checkpoint_root
from umm.stages import LIST

Output = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The loops that these tests use, compiled: what a command says must not depend on who ran first."""
    folder = tmp_path_factory.mktemp("warm")
    for name in ("base", "a", "b"):
        plain(folder / name, name)
    for method in ("ties", "linear"):
        merged(recipe(method), folder, method)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a base, two fine-tunes and a recipe."""
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name, vocab=300, files={"tokenizer.json": byte_level(290).encode()})
    (tmp_path / "recipe.yaml").write_text(recipe("ties"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(data: bytes) -> io.TextIOWrapper:
    """Standard input in a locale that is not UTF-8."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="latin-1")


def root(folder: Path) -> str:
    return checkpoint_root(folder).hex()


# -- one document ----------------------------------------------------------------------------------------------


def test_a_report_says_what_was_made(here: Path, capsys: Output) -> None:
    assert main(["merge", "recipe.yaml", "out", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(
        r"out: TIES, 5,208 parameters as bfloat16\n"
        r"  9 tensors, 10\.4 KB in \d+\.\d s \(numba, 1 thread\)\n"
        rf"  root blake3:{root(here / 'out')}\n",
        out,
    )
    assert err == ""
    assert sorted(content(here / "out")) == [
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "umm.json"
    ]  # fmt: skip


def test_a_report_can_be_read_by_programs(here: Path, capsys: Output) -> None:
    assert main(["merge", "recipe.yaml", "out", "--json", "--threads", "2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report.pop("seconds") >= 0
    assert report == {
        "folder": "out",
        "root": f"blake3:{root(here / 'out')}",
        "tensors": 9,
        "resumed_tensors": 0,
        "parameters": 5208,
        "read_bytes": 31248,
        "written_bytes": 10416,
        "backend": "numba",
        "threads": 2,
        "stages": [],
    }


def test_quiet_says_nothing(here: Path, capsys: Output) -> None:
    assert main(["merge", "recipe.yaml", "out", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_dry_run_writes_nothing(here: Path, capsys: Output) -> None:
    before = sorted(here.iterdir())
    assert main(["merge", "recipe.yaml", "--dry-run", "--threads", "2"]) == 0
    assert sorted(here.iterdir()) == before
    assert re.fullmatch(
        r"TIES\n"
        r"  models  base \(base\)\n"
        r"          a\n"
        r"          b\n"
        r"  output  9 tensors, 5,208 parameters, bfloat16\n"
        r"  disk    reads 31\.2 KB, writes 10\.4 KB\n"
        r"  memory  about \d+\.\d MB with 2 threads \(numba\)\n"
        r"\n"
        r"Nothing was written\.\n",
        capsys.readouterr().out,
    )


def test_a_dry_run_can_be_read_by_programs(here: Path, capsys: Output) -> None:
    assert main(["merge", "recipe.yaml", "out", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert not (here / "out").exists()
    assert (plan["method"], plan["exact"], plan["write_bytes"], plan["stages"]) == ("ties", True, 10416, [])
    step = next(t for t in plan["tensors"] if t["name"] == "model.norm.weight")
    assert step["from"] == [f"{m}: model.norm.weight" for m in ("base", "a", "b")]
    assert step["per_model"][1] == {"weight": 0.75, "density": 0.4}
    assert (step["shape"], step["dtype"]) == ([8], "BF16")


def test_a_dry_run_finds_what_a_run_would(here: Path, capsys: Output) -> None:
    (here / "out").mkdir()
    (here / "out" / "x").touch()
    assert main(["merge", "recipe.yaml", "out", "--dry-run"]) == 1
    assert "out is not empty (it holds x)" in capsys.readouterr().err
    assert main(["merge", "recipe.yaml", "--dry-run", "--memory", "10M"]) == 1
    assert "of memory; --memory allows 10M" in capsys.readouterr().err


def test_a_recipe_is_read_from_standard_input(here: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", typed(recipe("linear").encode()))
    assert main(["merge", "-", "out", "--quiet"]) == 0
    assert (here / "out" / "model.safetensors").exists()
    monkeypatch.setattr("sys.stdin", typed(b"models: ["))
    assert main(["merge", "-", "other"]) == 1
    assert capsys.readouterr().err.startswith("umm: recipe, line 1: not valid YAML")


def test_standard_input_is_utf_8_whatever_the_locale(
    here: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(here / "größe", "a", vocab=300, files={"tokenizer.json": byte_level(290).encode()})
    text = "merge_method: passthrough\r\nmodels: [{model: größe}]\r\n"
    monkeypatch.setattr("sys.stdin", typed(text.encode()))
    assert main(["merge", "-", "out", "--quiet"]) == 0
    assert "- `größe`\n" in (here / "out" / "README.md").read_text(encoding="utf-8")
    monkeypatch.setattr("sys.stdin", typed(text.encode("latin-1")))
    assert main(["merge", "-", "other"]) == 1
    assert capsys.readouterr().err == "umm: the recipe - is not UTF-8 text\n"


def test_models_are_found_beside_the_recipe(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert main(["merge", "../recipe.yaml", "out", "--quiet"]) == 0
    assert (here / "elsewhere" / "out" / "model.safetensors").exists()


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_backend_can_be_chosen(here: Path, capsys: Output, backend: str) -> None:
    assert main(["merge", "recipe.yaml", "out", "--json", "--backend", backend]) == 0
    assert json.loads(capsys.readouterr().out)["backend"] == backend


def test_shards_have_the_size_asked_for(here: Path) -> None:
    assert main(["merge", "recipe.yaml", "out", "--quiet", "--shard-size", "5K"]) == 0
    sizes = [p.stat().st_size for p in (here / "out").glob("*.safetensors")]
    assert len(sizes) == 3
    assert (here / "out" / "model.safetensors.index.json").exists()


def test_memory_is_kept_to_by_fewer_threads(here: Path, capsys: Output) -> None:
    command = ["merge", "recipe.yaml", "--dry-run", "--json", "--threads", "8"]
    main(command)
    generous = json.loads(capsys.readouterr().out)
    main([*command, "--memory", "170M"])
    modest = json.loads(capsys.readouterr().out)
    assert modest["threads"] < generous["threads"] == 8
    assert modest["memory_bytes"] <= 170 << 20 < generous["memory_bytes"]


# -- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.yaml", "out"], "umm: cannot read the recipe missing.yaml: No such file or directory\n"),
        (["a", "out"], "umm: cannot read the recipe a: Is a directory\n"),
        (["a/model.safetensors", "out"], "umm: the recipe a/model.safetensors is not UTF-8 text\n"),
        (["recipe.yaml", "a"], "umm: a is one of the models to merge; choose another folder\n"),
        (["recipe.yaml", "recipe.yaml"], "there is a file of that name"),
        (["recipe.yaml", "/dev/null/x"], "a part of the path is a file"),
        (["recipe.yaml", "x" * 300], f"umm: cannot create {'x' * 300}: the name is too long; choose a shorter one\n"),
        (["recipe.yaml", "x" * 300, "--dry-run"], f"umm: cannot use {'x' * 300}: the name is too long"),
        (["recipe.yaml", "/proc/x"], "umm: cannot create /proc/x: "),
    ],
)
def test_an_error_is_one_message_and_exit_code_1(here: Path, capsys: Output, words: list[str], message: str) -> None:
    before = sorted(here.iterdir())
    assert main(["merge", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("umm: ")
    assert sorted(here.iterdir()) == before


def test_warnings_are_printed_once(here: Path, capsys: Output) -> None:
    (here / "b" / "tokenizer.json").unlink()
    assert main(["merge", "recipe.yaml", "out"]) == 0
    assert capsys.readouterr().err == (
        "umm: warning: b has no tokenizer.json, so nobody can tell whether its token ids mean what the others' do.\n"
    )


# -- several documents -----------------------------------------------------------------------------------------


@pytest.fixture
def staged(here: Path) -> Path:
    """A recipe of two documents, the second built on the first."""
    first = recipe("ties", name="first")
    last = recipe("linear", experts=("first", "base"))
    (here / "staged.yaml").write_text(f"{first}\n---\n{last}\n")
    return here


def test_documents_are_merged_in_order_and_stages_removed(staged: Path, capsys: Output) -> None:
    assert main(["merge", "staged.yaml", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines if not line.startswith(" ")] == ["first: TIES", "out: Linear"]
    assert not (staged / "out.stages").exists()
    assert main(["merge", "recipe.yaml", "first", "--quiet"]) == 0
    (staged / "last.yaml").write_text(recipe("linear", experts=("first", "base")))
    assert main(["merge", "last.yaml", "by-hand", "--quiet"]) == 0
    assert root(staged / "by-hand") == root(staged / "out")


def test_all_documents_are_reported_as_one_object(staged: Path, capsys: Output) -> None:
    main(["merge", "staged.yaml", "--json", "--dry-run"])
    plan = json.loads(capsys.readouterr().out)
    assert (plan["method"], [p["method"] for p in plan["stages"]]) == ("linear", ["ties"])
    main(["merge", "staged.yaml", "out", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (report["folder"], len(report["stages"])) == ("out", 1)


def test_a_mistake_in_a_later_document_is_found_before_the_first_is_merged(staged: Path, capsys: Output) -> None:
    plain(staged / "base2", vocab=300, layers=3)
    text = (staged / "staged.yaml").read_text().replace('"model": "base"', '"model": "base2"')
    (staged / "staged.yaml").write_text(text)
    before = sorted(staged.iterdir())
    assert main(["merge", "staged.yaml", "out"]) == 1
    assert "first lacks 3: model.layers.2." in capsys.readouterr().err
    assert sorted(staged.iterdir()) == before


def test_an_output_that_is_in_the_way_is_found_before_the_first_document_is_merged(
    staged: Path, capsys: Output
) -> None:
    (staged / "out").mkdir()
    (staged / "out" / "x").touch()
    assert main(["merge", "staged.yaml", "out"]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert not (staged / "out.stages").exists()


def poison(file: Path) -> bytes:
    """Make the last number of a file NaN; returns what the file held."""
    before = file.read_bytes()
    file.write_bytes(before[:-2] + b"\xc0\x7f")
    return before


def test_stages_are_kept_for_a_rerun_when_the_last_document_fails(staged: Path, capsys: Output) -> None:
    plain(staged / "c", "c", vocab=300, files={"tokenizer.json": byte_level(290).encode()})
    text = (staged / "staged.yaml").read_text().replace('"model": "base"', '"model": "c"')
    (staged / "staged.yaml").write_text(text)
    sound = poison(staged / "c" / "model.safetensors")
    assert main(["merge", "staged.yaml", "out"]) == 1
    assert "holds NaN or infinity in c" in capsys.readouterr().err
    assert (staged / "out.stages" / "first" / "model.safetensors").exists()
    assert not (staged / "out").exists()
    (staged / "c" / "model.safetensors").write_bytes(sound)
    assert main(["merge", "staged.yaml", "out"]) == 0
    assert capsys.readouterr().out.startswith("first: done before\nout: Linear, ")
    assert not (staged / "out.stages").exists()


def test_a_kept_stage_of_other_inputs_is_merged_again(staged: Path, capsys: Output) -> None:
    first, last = recipe("linear", name="first"), recipe("linear", experts=("first", "base"))
    (staged / "staged.yaml").write_text(f"{first}\n---\n{last}\n")
    sound = poison(staged / "base" / "model.safetensors")
    assert main(["merge", "staged.yaml", "out"]) == 1
    (staged / "base" / "model.safetensors").write_bytes(sound)
    os.utime(staged / "a" / "model.safetensors", ns=(1, 1))
    capsys.readouterr()
    assert main(["merge", "staged.yaml", "out"]) == 0
    assert capsys.readouterr().out.startswith("first: Linear")


def test_a_foreign_folder_in_the_place_of_the_stages_is_left_alone(staged: Path, capsys: Output) -> None:
    (staged / "out.stages").mkdir()
    (staged / "out.stages" / "diary.txt").write_text("mine")
    assert main(["merge", "staged.yaml", "out"]) == 1
    assert "out.stages, where intermediate results would go, holds other files" in capsys.readouterr().err
    assert list(content(staged / "out.stages")) == ["diary.txt"]


def test_a_planted_list_of_stages_deletes_nothing(staged: Path, capsys: Output) -> None:
    for victim in ("victim", "out.stages/other"):
        (staged / victim).mkdir(parents=True)
        (staged / victim / "thesis.tex").write_text("x")
    planted = dict.fromkeys(["../victim", str(staged / "victim"), "other", "..", "", "first/../../victim"], "0")
    (staged / "out.stages" / LIST).write_text(json.dumps(planted))
    assert main(["merge", "staged.yaml", "out", "--quiet"]) == 0
    assert (staged / "victim" / "thesis.tex").exists()
    assert (staged / "out.stages" / "other" / "thesis.tex").exists()
    assert not (staged / "out.stages" / "first").exists()


@pytest.mark.parametrize("text", ["[]", "3", "null", "{", "", '{"a": 1, "a": 2}', "[" * 100_000, '{"first": ["0"]}'])
def test_a_list_of_stages_that_is_none_counts_for_nothing(staged: Path, capsys: Output, text: str) -> None:
    (staged / "out.stages").mkdir()
    (staged / "out.stages" / LIST).write_text(text)
    assert main(["merge", "staged.yaml", "out", "--quiet"]) == 0
    assert not (staged / "out.stages").exists()


@pytest.mark.parametrize("link", ["out.stages", "out.stages/first"])
def test_stages_are_not_written_through_a_link(staged: Path, capsys: Output, link: str) -> None:
    (staged / "victim").mkdir()
    (staged / "victim" / LIST).write_text("{}")
    (staged / link).parent.mkdir(exist_ok=True)
    (staged / link).symlink_to(staged / "victim")
    if link != "out.stages":
        (staged / "out.stages" / LIST).write_text("{}")
    assert main(["merge", "staged.yaml", "out", "--force"]) == 1
    assert f"{link}, where an intermediate result would go, is a link; remove it" in capsys.readouterr().err
    assert content(staged / "victim") == {LIST: b"{}"}


def test_the_list_of_stages_is_not_written_through_a_link(staged: Path) -> None:
    (staged / "out.stages").mkdir()
    for name in (LIST, "umm-stages.new"):
        (staged / name).write_text('{"first": "0"}')
        (staged / "out.stages" / name).symlink_to(staged / name)
    assert main(["merge", "staged.yaml", "out", "--quiet"]) == 0
    assert (staged / LIST).read_text() == (staged / "umm-stages.new").read_text() == '{"first": "0"}'


def test_integers_of_an_earlier_result_are_known_to_a_later_plan(here: Path, capsys: Output) -> None:
    for name in ("base", "a", "b"):
        plain(here / name, name, vocab=300, extra={"mask": ("BOOL", (3,), b"\1\0\1")})
    first, last = recipe("ties", name="first"), recipe("linear", experts=("first", "base"))
    (here / "staged.yaml").write_text(f"{first}\n---\n{last}\n")
    assert main(["merge", "staged.yaml", "--dry-run"]) == 0


# -- the terminal ----------------------------------------------------------------------------------------------


def in_a_terminal(*words: str) -> str:
    """What the command writes to standard error when that is a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with subprocess.Popen(
        [sys.executable, "-m", "node.cli", *words],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        os.close(theirs)
        seen = b""
        try:
            while data := os.read(ours, 1 << 16):
                seen += data
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    assert child.returncode == 0
    return seen.decode()


def test_a_terminal_shows_progress(here: Path) -> None:
    seen = in_a_terminal("merge", "recipe.yaml", "out")
    assert "ties" in seen
    assert "10.4 KB of 10.4 KB" in seen
    assert seen.endswith("\x1b[2K"), "the bar is gone at the end"


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_no_progress_is_shown_when_it_would_disturb(here: Path, option: str) -> None:
    assert in_a_terminal("merge", "recipe.yaml", "out", option) == ""


@pytest.mark.slow
def test_the_first_compilation_is_announced(here: Path) -> None:
    cold = {**os.environ, "NUMBA_CACHE_DIR": str(here / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "node.cli", "merge", "linear.yaml"]
    (here / "linear.yaml").write_text(recipe("linear"))
    for out, said in (("one", 1), ("two", 0)):
        done = subprocess.run([*command, out], capture_output=True, text=True, env=cold, check=True)
        assert done.stderr.count("umm: compiling the loops for this machine, which happens once") == said


def test_unfinished_work_is_not_taken_for_a_model(here: Path, capsys: Output) -> None:
    (here / "half" / PARTIAL).mkdir(parents=True)
    (here / "half" / "config.json").write_text("{}")
    (here / "recipe.yaml").write_text(recipe("linear", experts=("half", "a")))
    assert main(["merge", "recipe.yaml", "out"]) == 1
    assert "holds an unfinished merge" in capsys.readouterr().err
