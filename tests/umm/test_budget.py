"""How much memory a merge is said to need, and what is given up to need less."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.umm.checkpoints import plain, plan, recipe
from umm.budget import LEAST_TILE, MIB, PROCESS, Share, estimate, fit
from umm.errors import EnvironmentFault
from umm.field import TILE
from umm.methods import METHODS
from umm.plan import Plan


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and two fine-tunes, with tensors of some megabytes."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("base", "a", "b"):
        plain(folder / name, name, vocab=20_000, width=200)
    return folder


@pytest.fixture
def ties(models: Path) -> Plan:
    return plan(recipe("ties"), models)


def test_without_a_limit_every_thread_gets_a_full_tile(ties: Plan) -> None:
    assert fit(ties, "numba", 4, None) == Share(4, TILE, estimate(ties, "numba", 4, TILE))


def test_threads_are_given_up_before_tiles(ties: Plan) -> None:
    two = estimate(ties, "numba", 2, TILE)
    assert fit(ties, "numba", 4, two) == Share(2, TILE, two)
    one = estimate(ties, "numba", 1, TILE)
    smaller = fit(ties, "numba", 4, one - 1)
    assert (smaller.threads, smaller.tile_size) == (1, TILE // 2)
    assert smaller.bytes < one


def test_a_limit_that_nothing_fits_in_names_the_least(ties: Plan) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        fit(ties, "numba", 4, 10 * MIB)
    least = -(-estimate(ties, "numba", 1, LEAST_TILE) // MIB)
    assert str(caught.value) == f"this merge needs at least {least}M of memory; --memory allows 10M"
    assert fit(ties, "numba", 4, least * MIB).threads == 1


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_estimates_grow_with_threads_and_tiles(models: Path, method: str, backend: str) -> None:
    made = plan(recipe(method), models)
    sizes = [estimate(made, backend, t, tile) for t, tile in ((1, LEAST_TILE), (1, TILE), (2, TILE), (9, TILE))]
    assert sizes == sorted(sizes)
    assert sizes[0] > PROCESS[backend]
    made.models.close()


def test_a_small_model_needs_less_than_a_full_tile(tmp_path: Path) -> None:
    plain(tmp_path / "a")
    made = plan(recipe("passthrough", experts=("a",)), tmp_path)
    assert estimate(made, "numba", 4, TILE) - PROCESS["numba"] < MIB


MEASURED = """
import sys, threading
from pathlib import Path
from node.cli import main

peak, done = 0, threading.Event()

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))

def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
code = main(sys.argv[1:])
done.set()
watcher.join()
print(peak)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("method", "limit"), [("ties", 175 * MIB), ("rsaf", 400 * MIB)])
def test_a_merge_stays_within_its_memory(models: Path, method: str, limit: int, tmp_path: Path) -> None:
    (models / "recipe.yaml").write_text(recipe(method))
    command = ["merge", str(models / "recipe.yaml"), str(tmp_path / "out"), "--quiet", f"--memory={limit}"]
    done = subprocess.run([sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=True)
    assert 20 * MIB < int(done.stdout) < limit


FUSED = """
import sys
from pathlib import Path
from tests.umm.checkpoints import merged, recipe
from umm.budget import UNFUSED
from umm.methods import METHODS

for method in METHODS.keys() - UNFUSED:
    merged(recipe(method), Path(sys.argv[1]), str(Path(sys.argv[2]) / method), backend="numba")
    if "torch" in sys.modules:
        sys.exit(f"{method} imports torch")
"""


def test_methods_with_fused_loops_never_load_torch(tmp_path: Path) -> None:
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name)
    subprocess.run([sys.executable, "-c", FUSED, str(tmp_path), str(tmp_path)], check=True)
