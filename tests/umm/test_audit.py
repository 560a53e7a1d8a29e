"""A tensor that is merged by itself has the bytes that it has in the whole merge."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.umm.checkpoints import adapter, merged, numbers, plain, plan, recipe
from tests.umm.golden_merges import models, recipes
from umm.audit import file_leaves, narrowed, needed, remake
from umm.checkpoint.folder import ONLY
from umm.digest import BLOB_DOMAIN, CHUNK_BYTES, checkpoint_leaves, checkpoint_root, root
from umm.errors import CheckpointError, MismatchError, RecipeError
from umm.merge import choose_backend
from umm.model import Folders, Models
from umm.plan import make_plan
from umm.recipe.document import load

TEXTS = recipes()
CHOSEN = ("model.layers.1.mlp.up_proj.weight", "model.mask", "model.scale", "model.wide.weight")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of the golden merges."""
    return models(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("name", TEXTS)
def test_one_tensor_alone_has_the_leaf_of_the_whole_merge(made: Path, name: str, tmp_path: Path) -> None:
    merged(TEXTS[name], made, str(tmp_path / "out"))
    receipt = json.loads((tmp_path / "out" / "umm.json").read_text())
    whole = plan(TEXTS[name], made)
    again = remake(narrowed(whole, CHOSEN), backend=choose_backend(), threads=1)
    whole.models.close()
    assert {n: r.leaf.hex() for n, r in again.items()} == {n: receipt["tensors"][n] for n in CHOSEN}
    assert {n: leaf.hex() for n, leaf in file_leaves(whole).items()} == receipt["files"]


def test_all_tensors_together_give_the_root(made: Path, tmp_path: Path) -> None:
    report = merged(TEXTS["dare_ties"], made, str(tmp_path / "out"))
    whole = plan(TEXTS["dare_ties"], made)
    again = remake(whole, backend=choose_backend("torch"))
    whole.models.close()
    assert root({n: r.leaf for n, r in again.items()}, file_leaves(whole)) == report.root


def test_the_chunks_of_a_tensor_make_its_blob(tmp_path: Path) -> None:
    from protocol.blobs.chunks import ChunkList

    wide = numbers("wide", (CHUNK_BYTES // 2 + 3,))
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name, extra={"wide": ("F32", wide.shape, wide.tobytes())})
    merged(recipe("ties"), tmp_path)
    whole = plan(recipe("ties"), tmp_path)
    (found,) = remake(narrowed(whole, {"wide"}), backend=choose_backend()).values()
    whole.models.close()
    assert len(found.chunks) == 3
    assert ChunkList.of(wide.tobytes()).digests == found.chunks
    assert BLOB_DOMAIN == b"umm/blob/1"


def test_a_tensor_that_the_merge_does_not_make_is_refused(made: Path) -> None:
    whole = plan(TEXTS["ties"], made)
    with pytest.raises(RecipeError, match="the merge makes no tensor nonsense"):
        narrowed(whole, {"nonsense", *CHOSEN})
    whole.models.close()


# -- folders with holes ----------------------------------------------------------------------------------------


def hollow(folder: Path, out: Path, only: frozenset[str]) -> Path:
    """The folder again, with zeros in place of all other tensors' values."""
    out.mkdir(parents=True)
    for path in folder.iterdir():
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            data = _zeroed(data, only)
        (out / path.name).write_bytes(data)
    (out / ONLY).write_text(json.dumps({"tensors": sorted(only)}))
    return out


def _zeroed(data: bytes, only: frozenset[str]) -> bytes:
    start = 8 + int.from_bytes(data[:8], "little")
    header: Mapping[str, Mapping[str, list[int]]] = json.loads(data[8:start])
    values = bytearray(data)
    for name, entry in header.items():
        if name not in only and name != "__metadata__":
            begin, end = (start + at for at in entry["data_offsets"])
            values[begin:end] = bytes(end - begin)
    return bytes(values)


def test_a_merge_of_some_tensors_reads_only_these(made: Path, tmp_path: Path) -> None:
    merged(TEXTS["ties"], made, str(tmp_path / "out"))
    tensors, _ = checkpoint_leaves(tmp_path / "out")
    whole = plan(TEXTS["ties"], made)
    parts = needed(narrowed(whole, CHOSEN))
    whole.models.close()
    assert parts == {made / name: frozenset(CHOSEN) for name in ("base", "a", "b", "c")}
    for folder, names in parts.items():
        hollow(folder, tmp_path / folder.name, names)
    (text,) = load(TEXTS["ties"])
    opened = Models.of(text, Folders(tmp_path, {}))
    part = narrowed(make_plan(text, opened, CHOSEN), CHOSEN)
    again = remake(part, backend=choose_backend())
    opened.close()
    assert {n: r.leaf for n, r in again.items()} == {n: tensors[n] for n in CHOSEN}


def test_what_was_left_out_is_not_taken_for_zeros(tmp_path: Path) -> None:
    mask = {"mask": ("BOOL", (3,), b"\1\0\1")}
    for name in ("base", "a", "b"):
        plain(tmp_path / "whole" / name, name, extra=mask)
        hollow(tmp_path / "whole" / name, tmp_path / name, frozenset({"model.norm.weight"}))
    with pytest.raises(CheckpointError, match=f"holds a part of its model, and not 'mask' .see {ONLY}"):
        plan(recipe("ties"), tmp_path)
    (text,) = load(recipe("ties"))
    opened = Models.of(text, Folders(tmp_path, {}))
    made = make_plan(text, opened, {"model.norm.weight"})
    assert remake(narrowed(made, {"model.norm.weight"}), backend=choose_backend())
    with pytest.raises(CheckpointError, match=r"and not 'model\.embed_tokens\.weight'"):
        remake(narrowed(made, {"model.embed_tokens.weight"}), backend=choose_backend())
    with pytest.raises(CheckpointError, match="holds a part of its model"):
        checkpoint_root(tmp_path / "base")
    opened.close()


@pytest.mark.parametrize("text", ["{}", '{"tensors": "all"}', '{"tensors": [1]}', "not json"])
def test_a_list_of_what_is_there_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    for name in ("base", "a", "b"):
        plain(tmp_path / name, name)
    (tmp_path / "a" / ONLY).write_text(text)
    with pytest.raises(CheckpointError, match=ONLY):
        plan(recipe("ties"), tmp_path)


def test_masks_that_differ_are_still_refused_where_they_are_merged(tmp_path: Path) -> None:
    for k, name in enumerate(("base", "a", "b")):
        plain(tmp_path / name, name, extra={"mask": ("BOOL", (1,), bytes([k % 2]))})
    (text,) = load(recipe("ties"))
    opened = Models.of(text, Folders(tmp_path, {}))
    make_plan(text, opened, {"model.norm.weight"})
    with pytest.raises(MismatchError, match="mask differs between base and a"):
        make_plan(text, opened, {"mask"})
    opened.close()


def test_adapters_are_put_on_the_part_of_the_base_that_is_there(tmp_path: Path) -> None:
    plain(tmp_path / "whole" / "base", head=False)
    name = "model.layers.0.self_attn.q_proj"
    for here in (tmp_path / "whole", tmp_path):
        adapter(
            here / "lora",
            {f"{name}.lora_A.weight": numbers("A", (2, 8)), f"{name}.lora_B.weight": numbers("B", (8, 2))},
        )
    text = recipe("task_arithmetic", experts=("base+lora",))
    merged(text, tmp_path / "whole", str(tmp_path / "out"))
    tensors, _ = checkpoint_leaves(tmp_path / "out")
    hollow(tmp_path / "whole" / "base", tmp_path / "base", frozenset({f"{name}.weight"}))
    part = plan(text, tmp_path)
    (found,) = remake(narrowed(part, {f"{name}.weight"}), backend=choose_backend()).values()
    part.models.close()
    assert found.leaf == tensors[f"{name}.weight"]
