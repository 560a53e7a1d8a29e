"""A merge gives the same bytes however it is run, and nothing when an input is bad."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.umm.checkpoints import adapter, content, merged, numbers, plain, plan, recipe
from tests.umm.golden_merges import VECTORS, models, recipes
from umm.checkpoint.folder import PARTIAL
from umm.checkpoint.reader import Checkpoint
from umm.digest import checkpoint_root
from umm.errors import CheckpointError, EnvironmentFault
from umm.merge import choose_backend, fingerprint, merge
from umm.methods import METHODS
from umm.model import Folders, Models
from umm.plan import Plan, make_plan
from umm.recipe.canonical import digest
from umm.recipe.document import load

GOLDEN: dict[str, str] = json.loads(VECTORS.read_text())
TEXTS = recipes()
FAMILIES = ("linear", "slerp", "ties", "dare_ties", "della", "breadcrumbs", "sce", "model_stock", "median")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the golden merges."""
    return models(tmp_path_factory.mktemp("golden"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A base and two fine-tunes of it."""
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name)
    return tmp_path


# -- the same bits ---------------------------------------------------------------------------------------------


def test_the_vectors_are_those_of_the_recipes() -> None:
    assert list(GOLDEN) == list(TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_the_root_is_golden(made: Path, name: str, tmp_path: Path) -> None:
    report = merged(TEXTS[name], made, str(tmp_path / "out"))
    assert report.root.hex() == GOLDEN[name]
    assert checkpoint_root(tmp_path / "out") == report.root


@pytest.mark.parametrize("name", TEXTS)
def test_torch_gives_the_golden_root_with_other_tiles(made: Path, name: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert merged(TEXTS[name], made, out, backend="torch", tile_size=1 << 16).root.hex() == GOLDEN[name]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "how", [{"threads": 1}, {"threads": 4}, {"tile_size": 1 << 14}, {"tile_size": 100_000}, {"shard_bytes": 300_000}],
    ids=str,
)  # fmt: skip
def test_threads_tiles_and_files_do_not_matter(made: Path, name: str, how: dict[str, int], tmp_path: Path) -> None:
    threads, tile = how.get("threads", 2), how.get("tile_size", 1 << 17)
    shard = how.get("shard_bytes", 10**9)
    report = merged(TEXTS[name], made, str(tmp_path / "out"), threads=threads, tile_size=tile, shard_bytes=shard)
    assert report.root.hex() == GOLDEN[name]


def test_inputs_may_be_split_into_any_files(tmp_path: Path) -> None:
    models(tmp_path, parts=3)
    for name in ("ties", "slices"):
        assert merged(TEXTS[name], tmp_path, name).root.hex() == GOLDEN[name]


@pytest.mark.slow
@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_the_processors_vector_width_does_not_matter(made: Path, capability: str, backend: str, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.umm.checkpoints import merged\n"
        "from tests.umm.golden_merges import recipes\n"
        "for name, text in recipes().items():\n"
        "    out = f'{sys.argv[2]}/{name}'\n"
        "    print(merged(text, Path(sys.argv[1]), out, backend=sys.argv[3]).root.hex())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(made), str(tmp_path), backend],
        env={**os.environ, "ATEN_CPU_CAPABILITY": capability},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == list(GOLDEN.values())


def test_every_file_is_the_same_wherever_the_models_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for place, spelling in (("here", "{}"), ("there/deep", "./{}"), ("abs", "@/{}")):
        beside = tmp_path / place
        for name in ("base", "a", "b"):
            files = {"tokenizer_config.json": b"{}", "generation_config.json": b'{"eos_token_id": 2}'}
            plain(beside / name, name, files=files, config={"_name_or_path": f"/home/{place}/{name}"})
        monkeypatch.chdir(beside if place == "here" else tmp_path)
        names = {n: spelling.format(n).replace("@", str(beside)) for n in ("base", "a", "b")}
        text = recipe("ties", base=names["base"], experts=(names["a"], names["b"]))
        merged(text, beside, f"out-{place.replace('/', '-')}", threads=len(place) % 3 + 1)
        found.append(content(beside / f"out-{place.replace('/', '-')}"))
    assert found[0] == found[1] == found[2]
    for name, data in found[2].items():
        assert str(tmp_path).encode() not in data, name
        assert b"/home" not in data, name


def test_the_receipt_has_the_digest_of_the_recipe_on_the_card(small: Path) -> None:
    text = recipe("ties", base=str(small / "base"), experts=(f"{small}/a", "./b"))
    report = merged(text, small)
    receipt = json.loads((small / "out" / "umm.json").read_text())
    card = (small / "out" / "README.md").read_text()
    (shown,) = load(card.split("```yaml\n")[1].split("\n```")[0])
    assert receipt["about"] == {"recipe": digest(shown), "method": "ties", "exact": True}
    assert receipt["root"] == report.root.hex()
    assert report.root.hex() in card


def test_the_recipe_on_the_card_of_several_documents_can_be_run(small: Path) -> None:
    (small / "deep").mkdir()
    for name in ("a", "mean"):
        plain(small / "deep" / name, name)
    first = recipe("linear", name="mean", experts=(f"{small}/deep/a", "a"))
    text = f"{first}\n---\n{recipe('ties', experts=(f'{small}/deep/mean', 'mean'))}"
    *_, last = load(text)
    opened = Models.of(last, Folders(small, {"mean": small / "b"}))
    merge(make_plan(last, opened), small / "out", text, backend=choose_backend())
    opened.close()
    shown = (small / "out" / "README.md").read_text().split("```yaml\n")[1].split("\n```")[0]
    assert str(small) not in shown
    earlier, final = load(shown)
    assert [str(m) for m in earlier.models()] == ["a-2", "a"]
    assert [str(m) for m in final.models()] == ["base", "mean-2", "mean"]
    assert json.loads((small / "out" / "umm.json").read_text())["about"]["recipe"] == digest(final)


def test_the_card_names_models_and_adapters_as_the_hub_does(small: Path) -> None:
    (small / "org").mkdir()
    plain(small / "org" / "name-7b", "a")
    adapter(small / "loras" / "sql", {"lm_head.weight": numbers("head", (12, 8))})
    merged(recipe("ties", experts=("org/name-7b", f"base+{small}/loras/sql", "b")), small)
    front = yaml.safe_load((small / "out" / "README.md").read_text().split("---\n")[1])
    assert front["base_model"] == ["base", "org/name-7b", "sql", "b"]


# -- types -----------------------------------------------------------------------------------------------------


def test_integers_and_truth_values_are_copied(tmp_path: Path) -> None:
    extra = {"bias": ("BOOL", (5,), b"\1\0\1\1\0"), "ids": ("I64", (2,), bytes(range(16))), "none": ("I32", (0,), b"")}
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name, extra=extra)
    merged(recipe("ties", out_dtype="float32"), tmp_path)
    with Checkpoint.open(tmp_path / "out") as out:
        for name, (dtype, shape, data) in extra.items():
            assert (out.tensors[name].dtype, out.tensors[name].shape, out.raw(name)) == (dtype, shape, data)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_types_may_be_mixed(tmp_path: Path, backend: str) -> None:
    for name, dtype in (("base", "float16"), ("a", "bfloat16"), ("b", "float32")):
        plain(tmp_path / name, name, dtype=dtype)
    report = merged(recipe("task_arithmetic"), tmp_path, backend=backend)
    with Checkpoint.open(tmp_path / "out") as out:
        assert {t.dtype for t in out.tensors.values()} == {"F16"}
    assert report.written_bytes == 2 * report.parameters


# -- bad numbers -----------------------------------------------------------------------------------------------

BAD = {"NaN": 0x7FC0, "infinity": 0x7F80, "minus infinity": 0xFF80}
NAME = "model.layers.0.mlp.up_proj.weight"


def poison(folder: Path, bits: int) -> None:
    """Replace one number of one tensor."""
    data = bytearray((folder / "model.safetensors").read_bytes())
    size = int.from_bytes(data[:8], "little")
    start = 8 + size + json.loads(data[8 : 8 + size])[NAME]["data_offsets"][0]
    data[start + 6 : start + 8] = bits.to_bytes(2, "little")
    (folder / "model.safetensors").write_bytes(data)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("value", BAD)
def test_a_bad_number_is_reported_with_tensor_and_model(small: Path, method: str, value: str) -> None:
    poison(small / "a", BAD[value])
    with pytest.raises(CheckpointError) as caught:
        merged(recipe(method), small, threads=1)
    assert f"{NAME} holds NaN or infinity in a:" in str(caught.value)
    assert not (small / "out").exists()


@pytest.mark.parametrize("method", ["ties", "slerp", "della", "median", "arcee_fusion", "rsaf"])
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_bad_number_in_the_base_is_the_bases(small: Path, method: str, backend: str) -> None:
    poison(small / "base", BAD["NaN"])
    experts = ("base", "b") if METHODS[method].base.value == "optional" else ("a", "b")
    with pytest.raises(CheckpointError, match=f"{NAME} holds NaN or infinity in base:"):
        merged(recipe(method, experts=experts), small, backend=backend)


def test_a_result_too_large_for_its_type_is_refused(small: Path) -> None:
    text = recipe("passthrough", parameters={"scale": 1e6}, out_dtype="float16")
    with pytest.raises(CheckpointError, match="overflows float16"):
        merged(text, small)
    assert not (small / "out").exists()


def test_a_file_that_shrinks_while_it_is_read_is_reported(small: Path) -> None:
    made = plan(recipe("ties"), small)
    os.truncate(small / "a" / "model.safetensors", 1500)
    with pytest.raises(CheckpointError, match="it changed while being read"):
        run(made, small)
    made.models.close()


# -- interrupted work ------------------------------------------------------------------------------------------


class _EnoughError(Exception):
    """Raised where a merge is to stop."""


def run(made: Plan, beside: Path, *, after: int | None = None, force: bool = False) -> tuple[int, bytes]:
    """Merge into ``out``; with ``after``, stop when so many tensors were written. How many had been done before."""
    written = 0

    def progress(size: int) -> None:
        nonlocal written
        written += size > 0
        if after is not None and written > after:
            raise _EnoughError

    report = merge(made, beside / "out", "{}", backend=choose_backend(), threads=1, force=force, progress=progress)
    return report.resumed, report.root


@pytest.fixture
def half_done(small: Path) -> Iterator[Plan]:
    """A merge that was stopped after five tensors."""
    made = plan(recipe("ties"), small)
    with pytest.raises(_EnoughError):
        run(made, small, after=5)
    assert content(small / "out" / PARTIAL)
    yield made
    made.models.close()


def test_stopped_work_goes_on_and_ends_in_the_same_bytes(small: Path, half_done: Plan) -> None:
    resumed, root = run(half_done, small)
    assert resumed == 5
    made = plan(recipe("ties"), small)
    again = merge(made, small / "other", "{}", backend=choose_backend())
    made.models.close()
    assert (again.root, content(small / "other")) == (root, content(small / "out"))


def test_a_damaged_tensor_of_stopped_work_is_merged_again(small: Path, half_done: Plan) -> None:
    file = small / "out" / PARTIAL / "model.safetensors"
    data = file.read_bytes()
    start = data.index(b"}") + 1000
    file.write_bytes(data[:start] + bytes(b ^ 1 for b in data[start:]))
    resumed, root = run(half_done, small)
    assert resumed < 5
    assert checkpoint_root(small / "out") == root


def test_stopped_work_of_another_recipe_is_not_continued(small: Path, half_done: Plan) -> None:
    with pytest.raises(EnvironmentFault, match="an unfinished merge of another recipe"):
        merged(recipe("ties", seed=1), small)
    assert merged(recipe("ties", seed=1), small, force=True).resumed == 0


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer_config.json"])
def test_stopped_work_on_other_inputs_is_not_continued(small: Path, half_done: Plan, file: str) -> None:
    path = small / "a" / file
    path.write_bytes(path.read_bytes() if path.exists() else b"{}")
    os.utime(path, ns=(1, 1))
    with pytest.raises(EnvironmentFault, match="or other inputs"):
        merged(recipe("ties"), small)


def test_a_fingerprint_is_of_this_recipe_and_these_files(small: Path) -> None:
    made = plan(recipe("ties"), small)
    assert fingerprint(made) == fingerprint(made)
    assert fingerprint(made) != fingerprint(plan(recipe("dare_ties"), small))


# -- where the output goes -------------------------------------------------------------------------------------


def test_a_folder_with_anything_in_it_is_left_alone(small: Path) -> None:
    (small / "out").mkdir()
    (small / "out" / "thesis.tex").write_text("x")
    with pytest.raises(EnvironmentFault, match=r"is not empty \(it holds thesis\.tex\)"):
        merged(recipe("ties"), small)
    assert list(content(small / "out")) == ["thesis.tex"]


def test_force_replaces_the_model_and_keeps_what_else_there_is(small: Path) -> None:
    first = merged(recipe("ties"), small, shard_bytes=300)
    (small / "out" / "notes.txt").write_text("mine")
    with pytest.raises(EnvironmentFault, match="is not empty"):
        merged(recipe("linear"), small)
    second = merged(recipe("linear"), small, force=True)
    assert first.root != second.root == checkpoint_root(small / "out")
    assert sorted(content(small / "out")) == [
        "README.md", "config.json", "model.safetensors", "notes.txt", "umm.json"
    ]  # fmt: skip


def test_force_keeps_the_old_model_when_the_new_one_fails(small: Path) -> None:
    first = merged(recipe("ties"), small)
    poison(small / "a", BAD["NaN"])
    with pytest.raises(CheckpointError):
        merged(recipe("linear"), small, force=True)
    assert checkpoint_root(small / "out") == first.root
    assert not (small / "out" / PARTIAL).exists()


@pytest.mark.parametrize("name", ["a", "./a", "link"])
def test_an_input_is_never_overwritten(small: Path, name: str) -> None:
    (small / "link").symlink_to(small / "a")
    before = content(small / "a")
    with pytest.raises(EnvironmentFault, match="is one of the models to merge"):
        merged(recipe("ties"), small, name, force=True)
    assert content(small / "a") == before


def test_an_adapter_is_never_overwritten(small: Path) -> None:
    adapter(small / "lora", {"lm_head.weight": numbers("head", (12, 8))})
    before = content(small / "lora")
    with pytest.raises(EnvironmentFault, match="is one of the adapters to merge"):
        merged(recipe("ties", experts=("a", "b+lora")), small, "lora", force=True)
    assert content(small / "lora") == before


def test_force_leaves_no_adapter_that_would_be_put_on_the_new_model(small: Path) -> None:
    adapter(small / "out", {"lm_head.weight": numbers("head", (12, 8))})
    merged(recipe("ties"), small, force=True)
    assert sorted(content(small / "out")) == ["README.md", "config.json", "model.safetensors", "umm.json"]


def test_unfinished_work_that_is_a_link_is_removed_but_not_its_target(small: Path) -> None:
    for folder in ("out", "victim"):
        (small / folder).mkdir()
    (small / "victim" / "journal").write_text("mine")
    (small / "out" / PARTIAL).symlink_to(small / "victim")
    merged(recipe("ties"), small, force=True)
    assert content(small / "victim") == {"journal": b"mine"}


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("x" * 300, "the name is too long"),
        ("a/config.json", "there is a file of that name"),
        ("a/config.json/out", "a part of the path is a file"),
        ("/proc/out", "cannot create /proc/out"),
    ],
)
def test_a_folder_that_cannot_be_made_is_reported(small: Path, out: str, message: str) -> None:
    with pytest.raises(EnvironmentFault, match=message):
        merged(recipe("ties"), small, out)


def test_a_disk_too_small_is_found_before_anything_is_written(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = plain(tmp_path / name, name)
        header = {"vast": {"dtype": "BF16", "shape": [1 << 42], "data_offsets": [0, 1 << 43]}}
        text = json.dumps(header).encode()
        with (folder / "model.safetensors").open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + (1 << 43))
    with pytest.raises(EnvironmentFault, match=r"out needs 8796\.2 GB and its disk has .* GB free"):
        merged(recipe("linear"), tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_backend_that_is_not_there_is_an_error() -> None:
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "from umm.merge import choose_backend\n"
        "print(choose_backend().name)\n"
        "try: choose_backend('numba')\n"
        "except Exception as error: print(type(error).__name__, '--backend torch' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["torch", "EnvironmentFault", "True"]
