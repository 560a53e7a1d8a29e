"""From a template and contributions of all kinds to the merged model, and to single tensors of it."""

from pathlib import Path

import pytest
import yaml

from node.recipes import Member, expand
from node.worker.checking import check
from node.worker.deltas import decode, encode
from node.worker.jobs import Check, Decode, Encode, Merge
from node.worker.merging import merge
from protocol.blobs.assemble import assemble
from protocol.blobs.folder import FolderSource
from protocol.blobs.kinds import About, Adapter, Checkpoint, Delta
from tests.umm.checkpoints import adapter, merged, numbers, plain
from umm.digest import checkpoint_leaves, checkpoint_root

TEMPLATE = """
merge_method: dare_ties
base_model: base
models:
  - model: contributions
    parameters: {weight: 1, density: 0.7}
  - model: contributions/math
    parameters: {weight: 0.5, density: 0.4}
"""
SEED = bytes(range(100, 132))
MEMORY = 4 * 10**9
DELTA, CHECKPOINT, ADAPTER = (
    Member(bytes([9]) * 32, "delta", "math"),
    Member(bytes([3]) * 32, "checkpoint", "code"),
    Member(bytes([5]) * 32, "adapter", "code"),
)
ROSTER = (DELTA, CHECKPOINT, ADAPTER)
NAMES = ("model.layers.0.self_attn.q_proj.weight", "model.norm.weight")


def nobody(*_: object) -> None:
    """Does not listen."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, and the contributions under their kinds."""
    folder = tmp_path_factory.mktemp("round")
    for name, seed in (("base", "base"), ("tuned", "a"), ("checkpoint", "b")):
        plain(folder / name, seed)
    q = NAMES[0].removesuffix(".weight")
    factors = {f"{q}.lora_A.weight": numbers("A", (2, 8)), f"{q}.lora_B.weight": numbers("B", (8, 2))}
    adapter(folder / "adapter", factors)
    encode(Encode(base=folder / "base", expert=folder / "tuned", out=folder / "delta"), nobody)
    decode(Decode(base=folder / "base", delta=folder / "delta", out=folder / "expert"), nobody)
    return folder


def recipe(folder: Path, *roster: Member) -> str:
    """The recipe over folders in one place; of a delta, the expert that it makes."""
    return expand(
        TEMPLATE, roster, SEED, str(folder / "base"), lambda m: str(folder / ("expert" if m is DELTA else m.kind))
    )


def test_every_contribution_is_found_sound(here: Path) -> None:
    for member in ROSTER:
        job = Check(base=here / "base", contribution=here / member.kind, kind=member.kind)
        assert check(job, nobody)["ok"], member


def test_the_root_is_that_of_the_same_recipe_offline(here: Path, tmp_path: Path) -> None:
    text = recipe(here, *ROSTER)
    answer = merge(Merge(recipe=text, out=tmp_path / "out"), MEMORY, nobody)
    offline = merged(text, tmp_path, "offline", backend="torch", threads=1)
    assert answer["root"] == offline.root.hex() == checkpoint_root(tmp_path / "out").hex()


def test_who_else_takes_part_leaves_the_random_masks_alone(here: Path) -> None:
    whole, rest = (yaml.safe_load(recipe(here, *roster)) for roster in (ROSTER, ROSTER[:2]))
    assert [m for m in whole["models"] if m["id"] != ADAPTER.id.hex()] == rest["models"]


def test_some_tensors_are_merged_again_from_parts_of_everything(here: Path, tmp_path: Path) -> None:
    merge(Merge(recipe=recipe(here, *ROSTER), out=tmp_path / "out"), MEMORY, nobody)
    tensors, files = checkpoint_leaves(tmp_path / "out")
    root = checkpoint_root(here / "base")
    kinds: dict[str, About] = {
        "base": Checkpoint(), "checkpoint": Checkpoint(), "delta": Delta(root), "adapter": Adapter(root)
    }  # fmt: skip
    for name, about in kinds.items():
        with FolderSource(here / name, about) as source:
            listed = {tensor.name for tensor in source.manifest.tensors}
            only = None if name == "adapter" else frozenset(NAMES) & listed
            assemble(source.manifest, source, tmp_path / name, only=only)
    part = Decode(base=tmp_path / "base", delta=tmp_path / "delta", out=tmp_path / "expert", only=frozenset(NAMES))
    decode(part, nobody)
    answer = merge(Merge(recipe=recipe(tmp_path, *ROSTER), only=frozenset(NAMES)), MEMORY, nobody)
    assert answer["tensors"] == {name: tensors[name].hex() for name in NAMES}
    assert answer["files"] == {name: leaf.hex() for name, leaf in files.items()}
