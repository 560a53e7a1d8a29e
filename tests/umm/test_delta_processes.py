"""Deltas in a process of their own: killed at any moment, and held to little memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.umm.deltas import EXPERT, delta, listing, model, pair
from tests.vectors.make_delta import BLOCK, packed, repeated
from umm.delta import decode, encode
from umm.digest import checkpoint_root

KILLED = """
import os, signal, sys
from pathlib import Path
from umm.delta import decode, encode

there, verb = Path(sys.argv[1]), sys.argv[2]
EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "open", "shutil.rmtree")

for point in range(1, 1000):
    child = os.fork()
    if child == 0:
        left = point
        def hook(event, args):
            global left
            if event in EVENTS and args and f"{there}/out" in str(args[0]).replace(".out", "out"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        made = there / f"out{point}"
        if verb == "encode":
            encode(there / "base", there / "expert", made)
        else:
            decode(there / "base", there / "delta", made)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))
    assert os.WTERMSIG(status) == signal.SIGKILL
"""


def run(script: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_process_killed_at_any_point_leaves_the_whole_folder_or_none(tmp_path: Path, verb: str) -> None:
    base, expert = pair(tmp_path)
    encode(base, expert, tmp_path / "delta")
    decode(base, tmp_path / "delta", tmp_path / "back")
    run(KILLED, tmp_path, verb)
    good = listing(tmp_path / ("delta" if verb == "encode" else "back"))
    kills = [path for path in tmp_path.iterdir() if path.name.startswith(".out")]
    assert len(kills) > 3
    assert all(listing(path) == good for path in tmp_path.glob("out*"))
    assert len(list(tmp_path.glob("out*"))) >= 1
    again = tmp_path / kills[0].name.removeprefix(".").removesuffix(".umm-partial")
    if verb == "encode":  # what was left behind is in nobody's way
        encode(base, expert, again)
    else:
        decode(base, tmp_path / "delta", again)
    assert listing(again) == good
    assert not kills[0].exists()


FRUGAL = """
import resource, sys
from pathlib import Path
from umm.delta import decode, encode, measure
from umm.errors import CheckpointError

there, bombs = Path(sys.argv[1]), sys.argv[2] == "bombs"
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
limit = int(status["VmData"].split()[0]) * 1024 + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
if bombs:
    try:
        measure(there / "base", there / "bombs", threads=2)
    except CheckpointError:
        sys.exit(0)
    sys.exit("a bomb was read")
encode(there / "base", there / "expert", there / "delta", threads=2)
measure(there / "base", there / "delta", threads=2)
decode(there / "base", there / "delta", there / "back", threads=2)
"""

LARGE = 48 << 20
"""Bytes of the models' only large tensor."""

ROOM = 72 << 20
"""What two threads may take beside what the process has when it begins."""


@pytest.mark.must("DLT-13")
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of data is Linux's")
def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    before, after = (draw.integers(0, 0x7F000000, LARGE // 4, np.uint32).tobytes() for _ in range(2))
    pair(
        tmp_path,
        {"large": ("F32", (LARGE // 4,), before), "w": EXPERT["w"]},
        {"large": ("F32", (LARGE // 4,), after), "w": EXPERT["w"]},
    )
    run(FRUGAL, tmp_path, "whole", ROOM)
    assert checkpoint_root(tmp_path / "back") == checkpoint_root(tmp_path / "expert")


@pytest.mark.must("DLT-11")
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of data is Linux's")
def test_bombs_take_no_memory(tmp_path: Path) -> None:
    model(tmp_path / "base", {"w": ("U8", (8 * BLOCK,), bytes(8 * BLOCK))})
    bomb = repeated(1, 1 << 31, window=16)[: BLOCK - 1]
    delta(tmp_path / "bombs", {"w": packed("U8", 8 * BLOCK, [[bomb]] * 8)})
    run(FRUGAL, tmp_path, "bombs", 24 << 20)


def test_the_codec_needs_no_torch() -> None:
    run("import sys, umm.delta; sys.exit({'torch', 'numba', 'transformers'} & sys.modules.keys() or 0)")


FULL = """
import resource, sys
from pathlib import Path
from umm.delta import decode, encode
from umm.errors import EnvironmentFault

there, verb = Path(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18))
try:
    if verb == "encode":
        encode(there / "base", there / "expert", there / "out")
    else:
        decode(there / "base", there / "delta", there / "out")
except EnvironmentFault as fault:
    sys.exit(0 if "ulimit -f" in str(fault) else str(fault))
sys.exit("all of it was written")
"""


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_without_room_nothing_is_left(tmp_path: Path, verb: str) -> None:
    draw = np.random.default_rng(1)
    before, after = (draw.integers(0, 256, 1 << 20, np.uint8).tobytes() for _ in range(2))
    base, expert = pair(tmp_path, {"w": ("U8", (1 << 20,), before)}, {"w": ("U8", (1 << 20,), after)})
    encode(base, expert, tmp_path / "delta")
    run(FULL, tmp_path, verb)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "delta", "expert"]
