"""The command line as a whole: what it loads, how it ends, and what it says about methods."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli import main, values
from umm.methods import METHODS

HEAVY = (
    "torch",
    "numba",
    "numpy",
    "transformers",
    "tokenizers",
    "rich",
    "hivemind",
    "grpc",
    "cryptography",
    "yaml",
    "blake3",
    "huggingface_hub",
)


def umm(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "node.cli", *words], capture_output=True, text=True, input=text)


@pytest.mark.parametrize("words", [["--help"], ["merge", "--help"], ["inspect", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    program = f"import sys\nfrom node.cli import main\nmain({words})\nprint(sorted(sys.modules.keys() & set({HEAVY})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_methods_loads_no_loops() -> None:
    program = (
        "import sys\nfrom node.cli import main\nmain(['methods', 'ties'])\n"
        "print(sorted(sys.modules.keys() & {'torch', 'numba', 'transformers'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [[], ["merg"], ["merge"], ["merge", "r", "--threads", "0"], ["merge", "r.yaml"]])
def test_a_wrong_command_line_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage: umm" in capsys.readouterr().err.lower()


def test_a_missing_out_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "recipe.yaml"]) == 2
    assert "OUT is missing: the folder to make (or add --dry-run)" in capsys.readouterr().err


def test_an_error_is_one_message_without_a_traceback() -> None:
    done = umm("merge", "-", "out", text="merge_method: ties\nmodels:\n  - model: a\n    wieght: 1\n")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("umm: recipe, line 4: ")
    assert "Traceback" not in done.stderr


def test_an_error_of_the_system_that_nobody_saw_coming_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"merge_method: linear\nmodels: [{model: a}]\n"
                                                                 b"parameters: {weight: 1}\n")))  # fmt: skip
    assert main(["merge", "-", "out"]) == 1
    assert capsys.readouterr().err == "umm: No such file or directory\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no way to take processors away")
@pytest.mark.parametrize("verb", ["merge", "inspect"])
def test_no_more_threads_run_than_there_are_processors_for_this_process(verb: str) -> None:
    program = (
        "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        f"from node.cli.{verb} import command\n"
        "print({option.name: option for option in command.params}['threads'].default)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "node.cli", "methods"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout
        child.stdout.close()
        assert child.stderr
        assert child.stderr.read() == ""
    assert child.returncode == 1


# -- methods ---------------------------------------------------------------------------------------------------


def test_methods_are_listed_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(METHODS)
    assert all(line[18] == " " and line[17:20].strip() for line in lines), "columns line up"


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{METHODS[name].title} ({name})")
    assert all(f"  {p.name} " in out for p in METHODS[name].parameters)
    assert max(map(len, out.splitlines())) <= 130
    assert "``" not in out


def test_methods_can_be_read_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["methods", "--json"])
    assert [m["name"] for m in json.loads(capsys.readouterr().out)] == sorted(METHODS)
    main(["methods", "della", "--json"])
    della = json.loads(capsys.readouterr().out)
    density = next(p for p in della["parameters"] if p["name"] == "density")
    assert density == {
        "name": "density", "what": "share of the delta to keep", "type": "float", "per": "expert",
        "required": False, "default": 1.0, "least": 0.0, "most": 1.0,
    }  # fmt: skip


def test_a_method_that_does_not_exist_has_a_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "tise"]) == 1
    assert "unknown merge method tise; did you mean ties? Valid: arcee_fusion, " in capsys.readouterr().err


# -- values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [("7", 7), ("2K", 2048), ("512m", 512 << 20), ("2G", 2 << 30), ("2GiB", 2 << 30), ("5GB", 5 * 10**9),
     ("1T", 1 << 40), ("900B", 900), ("1.5G", 3 << 29)],
)  # fmt: skip
def test_sizes_are_read(text: str, size: int) -> None:
    assert values.SIZE(text) == size


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (999_949, "999.9 KB"), (999_950, "1.0 MB"), (2.2e9, "2.2 GB"),
     (5e15, "5000.0 TB")],
)  # fmt: skip
def test_sizes_are_spelled(number: float, text: str) -> None:
    assert values.spelled(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (12_345, "12,345"), (1_100_000, "1.1 million"), (8_030_000_000, "8.0 billion")]
)
def test_counts_are_spelled(number: int, text: str) -> None:
    assert values.counted(number) == text
