"""Jobs in real child processes: what they answer, and that nothing is left of them."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from node.errors import MachineFault, UserError
from node.worker import parent, run_job
from node.worker.jobs import write_order
from tests.umm.checkpoints import merged, plain, recipe
from umm.digest import checkpoint_leaves, checkpoint_root

ROOT = Path(__file__).parents[3]
MEMORY = 4 * 10**9
SECONDS = 100
PATIENCE = 30.0
"""Seconds after which something that must happen has not."""

Heard = Callable[[str, int, int], None]


class _EnoughError(Exception):
    """Raised by a listener that has heard enough."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and two fine-tunes of it, the loops that merge them compiled."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("base", "a", "b"):
        plain(folder / name, name)
    merged(recipe("ties"), folder, "warm", threads=1)
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes minutes to check and no space on the disk: all zeros."""
    folder = tmp_path_factory.mktemp("large") / "model"
    return _zeros(folder, {"model.embed_tokens.weight": ("BF16", [1 << 20, 1 << 14])}, "model.safetensors")


def _zeros(folder: Path, tensors: Mapping[str, tuple[str, list[int]]], file: str) -> Path:
    folder.mkdir()
    header, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = shape[0] * shape[1] * {"BF16": 2, "F32": 4}[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at := at + size]}
    text = json.dumps(header).encode()
    (folder / file).write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(folder / file, 8 + len(text) + at)
    (folder / "config.json").write_text('{"model_type": "llama", "vocab_size": 1048576}')
    return folder


def checking(model: Path, contribution: Path | None = None, kind: str = "checkpoint") -> dict[str, Any]:
    return {"job": "check", "base": str(model), "contribution": str(contribution or model), "kind": kind}


def merging(models: Path, **more: Any) -> dict[str, Any]:
    text = recipe("ties", base=str(models / "base"), experts=(str(models / "a"), str(models / "b")))
    return {"job": "merge", "recipe": text, **more}


def run(
    job: Mapping[str, Any], *, memory: int = MEMORY, seconds: float = SECONDS, progress: Heard = lambda *_: None
) -> Any:
    return asyncio.run(run_job(job, memory_bytes=memory, seconds=seconds, progress=progress))


class Watched:
    """A child whose number is known: it writes it down before it becomes what it is."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._file = folder / "pid"
        self.command = ("/bin/sh", "-c", f'echo $$ > "{self._file}"; exec "$@"', "sh", *command)

    @property
    def pid(self) -> int:
        return int(self._file.read_text())

    def is_gone(self) -> bool:
        return not Path(f"/proc/{self.pid}").exists()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    child = Watched(tmp_path, *parent.COMMAND)
    monkeypatch.setattr(parent, "COMMAND", child.command)
    return child


# -- results ---------------------------------------------------------------------------------------------------


def test_a_merge_answers_the_root_and_tells_its_progress(models: Path, tmp_path: Path, watched: Watched) -> None:
    heard: list[tuple[str, int, int]] = []
    answer = run(merging(models, out=str(tmp_path / "out")), progress=lambda *told: heard.append(told))
    assert bytes.fromhex(answer["root"]) == checkpoint_root(tmp_path / "out") == checkpoint_root(models / "warm")
    assert {what for what, _, _ in heard} == {"merge"}
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)
    assert heard[-1][1] == heard[-1][2] == heard[0][2] > 0
    assert watched.is_gone()


def test_an_answer_for_some_tensors_is_that_of_the_whole_merge(models: Path) -> None:
    names = ["model.embed_tokens.weight", "model.norm.weight"]
    answer = run(merging(models, only=names, chunks=True))
    tensors, files = checkpoint_leaves(models / "warm")
    assert answer["tensors"] == {name: tensors[name].hex() for name in names}
    assert answer["files"] == {name: leaf.hex() for name, leaf in files.items()}
    assert answer["root"] is None
    assert {name: len(text) for name, text in answer["chunks"].items()} == dict.fromkeys(names, 64)


def test_a_verdict_comes_through(models: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    answer = run({**checking(models / "base", tmp_path / "empty"), "max_norm": "100"})
    assert (answer["ok"], answer["fault"], answer["norm"]) == (False, "manifest", None)
    assert answer["reason"].startswith("the contribution has no weights")


def test_the_daemon_loads_nothing_heavy_to_start_a_child() -> None:
    program = "import sys, node.worker; print([m for m in ('numpy', 'torch', 'yaml', 'umm.plan') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


# -- faults ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "job", [{}, {"job": "train"}, {"job": "merge", "recipe": "{}"}, {"job": "check", "base": "b"}], ids=str
)
def test_what_is_no_job_starts_no_child(job: dict[str, Any], watched: Watched) -> None:
    with pytest.raises(UserError, match="this is no job for a child process: "):
        run(job)
    assert not watched._file.exists()


def test_a_garbled_order_is_a_fault_of_the_order() -> None:
    command = [*parent.COMMAND, str(os.getpid())]
    with subprocess.Popen(command, env=parent.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(b"{}\n")
        child.stdin.flush()
        assert json.loads(child.stdout.readline())["fault"]["kind"] == "job"
        assert child.wait(PATIENCE) == 0


def test_a_recipe_that_cannot_be_merged_is_its_authors_fault(models: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 1: merge_method: unknown merge method tie; did you mean ties\?"):
        run({"job": "merge", "recipe": "merge_method: tie\nmodels: [{model: /a}]", "out": str(tmp_path / "out")})
    assert not (tmp_path / "out").exists()


def test_a_fault_of_the_machine_is_told_as_such(models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineFault, match=r"file/out: .* choose another folder"):
        run(merging(models, out=str(tmp_path / "file" / "out")))


# -- limits ----------------------------------------------------------------------------------------------------


def test_a_job_that_takes_too_long_is_ended(large: Path, watched: Watched) -> None:
    with pytest.raises(MachineFault, match=r"not done after 1 seconds .* raise limits\.job_seconds"):
        run(checking(large), seconds=1)
    assert watched.is_gone()


def test_memory_beyond_the_limit_is_a_clear_fault(tmp_path: Path, watched: Watched) -> None:
    name = "model.layers.0.self_attn.q_proj"
    base = _zeros(tmp_path / "base", {f"{name}.weight": ("BF16", [1024, 1 << 16])}, "model.safetensors")
    factors = {
        f"base_model.model.{name}.lora_A.weight": ("BF16", [1024, 1 << 16]),
        f"base_model.model.{name}.lora_B.weight": ("BF16", [1024, 1024]),
    }
    lora = _zeros(tmp_path / "lora", factors, "adapter_model.safetensors")
    (lora / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 1024, "lora_alpha": 1}')
    with pytest.raises(
        MachineFault, match=r"needs more memory than the 0\.25 GB .* raise limits\.memory in the settings"
    ):
        run(checking(base, lora, "adapter"), memory=250 * 10**6)
    assert watched.is_gone()


def test_a_merge_that_cannot_fit_says_so_before_it_begins(models: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MachineFault, match=r"needs more memory than the 0\.2 GB .*this merge needs at least \d+M of memory"
    ):
        run(merging(models, out=str(tmp_path / "out")), memory=200 * 10**6)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_child_has_taken_its_limits_on(large: Path, watched: Watched) -> None:
    found: dict[str, str] = {}

    def look(*_: object) -> None:
        lines = Path(f"/proc/{watched.pid}/limits").read_text().splitlines()[1:]
        found.update({line[:26].strip(): line[26:47].strip() for line in lines})
        found["nice"] = Path(f"/proc/{watched.pid}/stat").read_text().rpartition(")")[2].split()[16]
        found["session"] = str(os.getsid(watched.pid))
        raise _EnoughError

    with pytest.raises(_EnoughError):
        run(checking(large), seconds=1000, memory=10**9, progress=look)
    assert found["Max core file size"] == "0"
    assert found["Max data size"] == str(10**9)
    assert found["Max cpu time"] == str(1000 * (os.cpu_count() or 1) + 1)
    assert int(found["nice"]) >= 10
    assert found["session"] == str(watched.pid)


# -- the end ---------------------------------------------------------------------------------------------------


def test_cancelling_ends_the_child(large: Path, watched: Watched) -> None:
    async def cancelled_at_work() -> None:
        at_work = asyncio.Event()
        task = asyncio.create_task(
            run_job(checking(large), memory_bytes=MEMORY, seconds=SECONDS, progress=lambda *_: at_work.set())
        )
        await asyncio.wait_for(at_work.wait(), PATIENCE)
        assert not watched.is_gone()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert watched.is_gone()

    asyncio.run(cancelled_at_work())


def test_an_error_of_the_listener_ends_the_child(large: Path, watched: Watched) -> None:
    def fail(*_: object) -> None:
        raise _EnoughError

    with pytest.raises(_EnoughError):
        run(checking(large), progress=fail)
    assert watched.is_gone()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process that is not a child")
def test_a_child_ends_with_a_daemon_that_is_killed(large: Path, tmp_path: Path) -> None:
    child = Watched(tmp_path, *parent.COMMAND)
    program = (
        "import asyncio, json, sys; from node.worker import parent, run_job\n"
        "parent.COMMAND = tuple(json.loads(sys.argv[1]))\n"
        "say = lambda *_: print('at work', flush=True)\n"
        "asyncio.run(run_job(json.loads(sys.argv[2]), memory_bytes=10**9, seconds=100, progress=say))\n"
    )
    arguments = [sys.executable, "-c", program, json.dumps(child.command), json.dumps(checking(large))]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout
        assert daemon.stdout.readline() == b"at work\n"
        fd = os.pidfd_open(child.pid)
        daemon.send_signal(signal.SIGKILL)
    assert select.select([fd], [], [], PATIENCE)[0], "the child lives on"
    os.close(fd)


def worker(starter: int, stdin: int) -> subprocess.Popen[bytes]:
    """The child by itself, with standard input of the caller's choice."""
    command = [*parent.COMMAND, str(starter)]
    return subprocess.Popen(command, env=parent.environment(), stdin=stdin, stdout=subprocess.PIPE)


def test_a_child_ends_when_its_input_closes(large: Path) -> None:
    reading, writing = os.pipe()
    with worker(os.getpid(), reading) as child:
        os.close(reading)
        os.write(writing, write_order(checking(large), MEMORY, SECONDS))
        assert child.stdout
        assert b"progress" in child.stdout.readline()
        os.close(writing)
        assert child.wait(PATIENCE) == -signal.SIGKILL


def test_a_child_whose_parent_has_gone_already_does_nothing() -> None:
    reading, writing = os.pipe()
    with worker(os.getpid() + 1, reading) as child:
        assert child.wait(PATIENCE) == -signal.SIGKILL
    os.close(reading)
    os.close(writing)


# -- children that misbehave -----------------------------------------------------------------------------------

LISTEN = "import os, sys, time, signal; sys.stdin.readline(); say = lambda t: print(t, flush=True); "
SLEEP = "; time.sleep(1000)"
RESULT = '{"result": {"ok": true, "fault": null, "reason": null, "norm": "1"}}'
MISBEHAVING = {
    "prints what is no message": ("say('Loading checkpoint shards')" + SLEEP, "is not JSON|bug, please report"),
    "says a line without an end": ("say('x' * (5 << 20))" + SLEEP, "it said a line of more than 4194304 bytes"),
    "says too much": (
        "line = '{\"fault\": {\"kind\": \"bug\", \"message\": \"' + 'x' * 3000 + '\"}}'; [say(line) for _ in range(9)]"
        + SLEEP,
        "it went on after its last word",
    ),
    "tells progress without end": (
        "line = '{\"progress\": {\"done\": 1, \"total\": 2, \"what\": \"' + 'x' * 40 + '\"}}\\n'; "
        "[os.write(1, (line * 9000).encode()) for _ in range(20)]" + SLEEP,
        "it tells its progress too often",
    ),
    "goes on after its result": (f"say({RESULT!r}); say({RESULT!r})" + SLEEP, "it went on after its last word"),
    "answers another question": ("say('{\"result\": {\"root\": 1}}')", "the job check answers nonsense"),
    "ends without a word": ("sys.exit(0)", "ended with code 0 without an answer"),
    "fails after its answer": (f"say({RESULT!r}); sys.exit(3)", "ended with code 3 without an answer"),
    "raises": ("raise RuntimeError('so it goes')", "ended with code 1 .*RuntimeError: so it goes"),
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", r"needs more memory than .*it crashed.* raise limits\.memory"),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", "the system or somebody else killed it"),
    "is out of time": ("os.kill(os.getpid(), signal.SIGXCPU)", r"took all the processor time .* limits\.job_seconds"),
    "is ended": ("os.kill(os.getpid(), signal.SIGTERM)", "was ended by SIGTERM without an answer"),
    "reports a bug": ("say('{\"fault\": {\"kind\": \"bug\", \"message\": \"oh\"}}')", "the job check failed: oh"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISBEHAVING)
def test_a_child_that_misbehaves_is_ended_and_told_about(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, reason = MISBEHAVING[name]
    child = Watched(tmp_path, sys.executable, "-S", "-E", "-c", LISTEN + program)
    monkeypatch.setattr(parent, "COMMAND", child.command)
    with pytest.raises(MachineFault, match=reason):
        run(checking(tmp_path))
    assert child.is_gone()


def test_a_child_that_does_not_listen_is_ended_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Watched(tmp_path, sys.executable, "-S", "-E", "-c", "import time; time.sleep(1000)")
    monkeypatch.setattr(parent, "COMMAND", child.command)
    with pytest.raises(MachineFault, match=r"not done after 0\.5 seconds"):
        run({"job": "merge", "recipe": "#" * (1 << 20), "out": "/x"}, seconds=0.5)
    assert child.is_gone()


def test_a_child_learns_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMM_PASSPHRASE", "hunter2")
    program = '; say(\'{"fault": {"kind": "machine", "message": "%s"}}\' % \' \'.join(sorted(os.environ)))'
    monkeypatch.setattr(parent, "COMMAND", (sys.executable, "-S", "-E", "-c", LISTEN + program.lstrip("; ")))
    with pytest.raises(MachineFault, match=r"HF_HUB_OFFLINE .*OMP_NUM_THREADS") as caught:
        run(checking(tmp_path))
    assert "UMM_" not in str(caught.value)
