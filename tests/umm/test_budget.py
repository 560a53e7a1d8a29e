"""How much memory a merge is said to need, and what is given up to need less."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.umm import memory
from tests.umm.checkpoints import SETTINGS, adapter, numbers, plain, plan, recipe
from umm.budget import LEAST_TILE, MIB, PROCESS, Share, estimate, fit
from umm.errors import EnvironmentFault
from umm.field import TILE, Field
from umm.forms import Elementwise
from umm.methods import METHODS
from umm.methods.registry import Holds, Value
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


# -- what methods say of themselves ----------------------------------------------------------------------------


class Watched(Field):
    """A field that notes what was held of it."""

    holds = Holds.SUMS
    by_vector = False

    def _select(self, *given: Any, **options: Any) -> Any:
        self.holds = Holds.RANKS
        return super()._select(*given, **options)

    def draw(self, *given: Any) -> Any:
        self.holds = Holds.MASKS
        return super().draw(*given)

    def vector_grams(self, **options: Any) -> Any:
        self.by_vector = True
        return super().vector_grams(**options)


def settings(name: str) -> list[dict[str, Any]]:
    """Parameters of a method: usual ones, and with each of its switches the other way."""
    needed: dict[str, Any] = {p.name: 0.5 for p in METHODS[name].parameters if p.required} | dict(
        SETTINGS.get(name, {})
    )
    switches = [p for p in METHODS[name].parameters if p.kind is bool and p.scope == "merge"]
    return [needed, *({**needed, p.name: not p.default} for p in switches)]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_says_what_it_holds_and_whether_it_needs_torch(name: str) -> None:
    method = METHODS[name]
    base, experts = memory.models(1, (24, 64), method.experts[1] or 3)
    for given in settings(name):
        plain_field = memory.field_of(base if method.base.value != "unused" else None, experts, depth=0.5)
        field = Watched(**{f.name: getattr(plain_field, f.name) for f in fields(plain_field)})
        made = memory.arguments(method, len(experts), given)
        form = method.function(field, made)
        assert field.holds is method.holds
        if isinstance(form, Elementwise) or field.by_vector:
            assert method.uses_torch(made.merge), f"{name} with {given} has no fused loops"


def test_whether_a_method_needs_torch_may_depend_on_a_setting() -> None:
    flat: dict[str, Value] = {"nuslerp_flatten": True}
    assert not METHODS["nuslerp"].uses_torch(flat)
    assert METHODS["nuslerp"].uses_torch({"nuslerp_flatten": False})
    assert METHODS["median"].uses_torch({})


def test_an_adapter_takes_memory_for_its_factors(models: Path) -> None:
    needs = []
    for rank in (1, 33):
        a, b = numbers("A", (rank, 200)), numbers("B", (20_000, rank))
        adapter(models / f"rank-{rank}", {"lm_head.lora_A.weight": a, "lm_head.lora_B.weight": b}, r=rank)
        made = plan(recipe("passthrough", experts=(f"a+rank-{rank}",)), models)
        needs.append(estimate(made, "numba", 1, TILE))
        made.models.close()
    rows = TILE // 200
    assert needs[1] - needs[0] >= 32 * (200 + rows) * 4


FUSED = """
import sys
from pathlib import Path
from tests.umm.checkpoints import merged, recipe
from umm.methods import METHODS

for method in (name for name, m in METHODS.items() if m.torch is not True):
    merged(recipe(method), Path(sys.argv[1]), str(Path(sys.argv[2]) / method), backend="numba")
    if "torch" in sys.modules:
        sys.exit(f"{method} imports torch")
"""


def test_methods_with_fused_loops_never_load_torch(tmp_path: Path) -> None:
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name)
    subprocess.run([sys.executable, "-c", FUSED, str(tmp_path), str(tmp_path)], check=True)
