"""``umm completion``, and what a shell is answered."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from node.cli import main

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(shell: str, capsys: Output, answer: Callable[..., Any]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_UMM_COMPLETE={shell}_complete" in script
    assert answer("completion", shell) == {"shell": shell, "script": script.removesuffix("\n")}
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("umm m", ["merge", "methods"]),
        ("umm round ", ["list", "show", "watch", "can-join", "join", "leave", "withdraw", "create", "revise"]),
        ("umm round c", ["can-join", "create"]),
        ("umm key ", ["export", "import", "show"]),
        ("umm merge --b", ["--backend"]),
        ("umm merge --backend ", ["auto", "numba", "torch"]),
    ],
)
def test_a_shell_is_answered(line: str, found: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("_UMM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    assert main([]) == 0
    assert [one.partition(",")[2] for one in capsys.readouterr().out.splitlines() if one] == found


def test_completing_a_command_imports_no_command() -> None:
    env = {**os.environ, "_UMM_COMPLETE": "bash_complete", "COMP_WORDS": "umm ", "COMP_CWORD": "1"}
    program = (
        "import sys\nfrom node.cli import main\nmain([])\n"
        "print([name for name in sys.modules if name in ('node.cli.merge', 'node.cli.round', 'rich', 'torch')])"
    )
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
