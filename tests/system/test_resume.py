"""Real processes that are killed or interrupted in the middle of a merge, and what a rerun makes of it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.umm.checkpoints import content, merged, plain, recipe
from umm.checkpoint.folder import PARTIAL
from umm.digest import checkpoint_root

LAYERS = 200  # so many that a merge takes long enough to be interrupted

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.umm.checkpoints import plan
from umm.merge import choose_backend, merge

text, beside, left = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def progress(size):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

merge(plan(text, beside), beside / "out", text, backend=choose_backend(), threads=2, progress=progress)
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A deep base and two fine-tunes of it, with a recipe."""
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name, layers=LAYERS)
    (tmp_path / "recipe.yaml").write_text(recipe("ties"))
    return tmp_path


def umm(beside: Path, out: str, *options: str, seed: str = "random") -> dict[str, object]:
    command = [sys.executable, "-m", "node.cli", "merge", str(beside / "recipe.yaml"), str(beside / out), "--json"]
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True, env=env)
    report: dict[str, object] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_a_killed_merge_is_resumed_to_the_same_bytes(models: Path, damaged: bool) -> None:
    command = [sys.executable, "-c", KILLED, recipe("ties"), str(models), str(LAYERS)]
    assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
    partial = models / "out" / PARTIAL / "model.safetensors"
    assert partial.exists()
    assert not (models / "out" / "model.safetensors").exists()
    if damaged:
        data = partial.read_bytes()
        partial.write_bytes(data[:-2000] + bytes(b ^ 0x55 for b in data[-2000:]))
    report = umm(models, "out")
    assert 0 < int(str(report["resumed_tensors"])) < int(str(report["tensors"]))
    merged(recipe("ties"), models, "fresh")
    assert content(models / "out") == content(models / "fresh")
    assert report["root"] == f"blake3:{checkpoint_root(models / 'out').hex()}"


def _heed_interrupts() -> None:
    """A test run in the background ignores SIGINT and passes that on; a merge at a terminal does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_ends_at_once_and_leaves_what_can_be_resumed(models: Path) -> None:
    command = [sys.executable, "-m", "node.cli", "merge", str(models / "recipe.yaml"), str(models / "out")]
    command += ["--backend", "torch"]  # slow enough that seconds are left when the signal is sent
    journal = models / "out" / PARTIAL / "journal"
    with subprocess.Popen(
        [*command, "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=_heed_interrupts
    ) as child:
        while child.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 20):
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.005)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert out == b""
    assert err.splitlines()[-1] == (b"umm: interrupted: what is finished is kept, the same command goes on from there")
    assert b"Traceback" not in err
    assert not (models / "out" / "model.safetensors").exists()
    report = umm(models, "out")
    assert int(str(report["resumed_tensors"])) >= 15
    assert report["root"] == f"blake3:{merged(recipe('ties'), models, 'fresh').root.hex()}"


def test_the_order_of_sets_does_not_matter(models: Path) -> None:
    for seed in ("0", "1"):
        umm(models, seed, seed=seed)
    assert content(models / "0") == content(models / "1")
