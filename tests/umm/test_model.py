"""Finding and opening the models that a recipe names."""

from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest

from tests.umm.checkpoints import adapter, numbers, plain, recipe
from umm.errors import CheckpointError, EnvironmentFault, MismatchError, RecipeError
from umm.model import Folders, Models
from umm.recipe.document import load
from umm.recipe.model import ModelRef

MODULE = "model.layers.0.self_attn.q_proj"
FACTORS = {f"{MODULE}.lora_A.weight": numbers("A", (2, 8)), f"{MODULE}.lora_B.weight": numbers("B", (8, 2))}


def find(path: str, beside: Path, revision: str | None = None) -> Path:
    return Folders(beside, {}).find(path, revision)


def test_a_folder_is_looked_for_here_and_beside_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside" / "x").mkdir(parents=True)
    assert find("x", tmp_path / "beside") == tmp_path / "beside" / "x"
    (tmp_path / "x").mkdir()
    assert find("x", tmp_path / "beside") == Path("x")
    assert find(str(tmp_path / "x"), tmp_path / "beside") == tmp_path / "x"


def test_a_home_folder_is_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x").mkdir()
    assert find("~/x", Path("/")) == tmp_path / "x"


def test_the_result_of_an_earlier_document_comes_first(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert Folders(tmp_path, {"x": tmp_path / "made"}).find("x", None) == tmp_path / "made"


def test_a_missing_folder_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        find("./missing", tmp_path)
    assert str(caught.value).startswith("no model folder at ./missing.\n")
    assert str(tmp_path) in str(caught.value)
    assert "hf download" not in str(caught.value)


@pytest.mark.parametrize("path", ["../x/y", "a..b/c", "a--b/c", "a/b.git", "/x", "", "x/", "a/b/c", "~nobody/x"])
def test_any_other_text_is_just_a_missing_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no model folder at"):
        find(path or "-", tmp_path)


@pytest.mark.parametrize("path", ["~no-such-user/x", "x" * 5000])
def test_a_path_that_cannot_be_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be a model folder"):
        find(path, tmp_path)


def test_what_looks_like_a_name_on_the_hub_says_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"hf download nobody/nothing-7b\n"):
        find("nobody/nothing-7b", tmp_path)
    with pytest.raises(RecipeError, match="hf download nobody/nothing-7b --revision v1"):
        find("nobody/nothing-7b", tmp_path, "v1")


def test_what_was_fetched_from_the_hub_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--org--name"
    plain(repository / "snapshots" / "abc")
    adapter(repository / "snapshots" / "def", FACTORS)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert find("org/name", tmp_path) == repository / "snapshots" / "abc"
    assert find("org/name", tmp_path, "abc") == repository / "snapshots" / "abc"
    Models([ModelRef("org/name", "abc", "org/name@def")], Folders(tmp_path, {})).close()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.gguf is a file; a model is a folder with config\.json"):
        find("model.gguf", tmp_path)


def test_weights_that_are_not_safetensors_are_named(tmp_path: Path) -> None:
    plain(tmp_path / "x")
    (tmp_path / "x" / "model.safetensors").rename(tmp_path / "x" / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin' only; convert it to safetensors"):
        Models([ModelRef("x")], Folders(tmp_path, {}))


def test_an_adapter_alone_is_no_model(tmp_path: Path) -> None:
    adapter(tmp_path / "lora", FACTORS)
    with pytest.raises(CheckpointError, match=r"is an adapter, not a model; write `model\+adapter`"):
        Models([ModelRef("lora")], Folders(tmp_path, {}))


def test_an_adapter_changes_what_it_was_trained_on(tmp_path: Path) -> None:
    plain(tmp_path / "x")
    adapter(tmp_path / "lora", FACTORS)
    name = f"{MODULE}.weight"
    models = Models([ModelRef("x"), ModelRef("x", adapter="lora")], Folders(tmp_path, {}))
    plainly, adapted = (np.zeros(256, np.uint8) for _ in range(2))
    models[ModelRef("x")].source(name).read(0, 64, plainly)
    models[ModelRef("x", adapter="lora")].source(name).read(0, 64, adapted)
    assert (plainly != adapted).any()
    assert models[ModelRef("x")].checkpoint is models[ModelRef("x", adapter="lora")].checkpoint
    models.close()


def test_no_file_stays_open_when_one_model_is_refused(tmp_path: Path) -> None:
    plain(tmp_path / "x")
    plain(tmp_path / "y", width=16)
    adapter(tmp_path / "lora", FACTORS)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(MismatchError):
        Models([ModelRef("x"), ModelRef("y", adapter="lora")], Folders(tmp_path, {}))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_models_that_only_give_a_token_are_opened(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        plain(tmp_path / name)
    tokenizer = {"source": "c", "tokens": {"x": {"source": "d"}}}
    (made,) = load(recipe("linear", tokenizer=tokenizer))
    models = Models.of(made, Folders(tmp_path, {}))
    assert [str(m.ref) for m in models] == ["a", "b", "c", "d"]
    models.close()


@pytest.mark.parametrize("gone", ["x/model.safetensors", "x/tokenizer.json", "lora/adapter_model.safetensors"])
def test_a_file_that_vanished_is_named(tmp_path: Path, gone: str) -> None:
    plain(tmp_path / "x", files={"tokenizer.json": b"{}"})
    adapter(tmp_path / "lora", FACTORS)
    ref = ModelRef("x", adapter="lora")
    models = Models([ref], Folders(tmp_path, {}))
    (tmp_path / gone).unlink()
    with pytest.raises(EnvironmentFault, match=f"cannot look at .*{gone}: No such file"):
        models[ref].identity()
    models.close()


def test_shapes_are_made_once(tmp_path: Path) -> None:
    plain(tmp_path / "x")
    models = Models([ModelRef("x")], Folders(tmp_path, {}))
    model = models[ModelRef("x")]
    assert model.shapes is model.shapes
    models.close()


@pytest.mark.parametrize(
    "changed", ["x/model.safetensors", "x/config.json", "x/tokenizer.json", "lora/adapter_config.json"]
)
def test_a_changed_file_changes_the_identity(tmp_path: Path, changed: str) -> None:
    plain(tmp_path / "x", files={"tokenizer.json": b"{}"})
    adapter(tmp_path / "lora", FACTORS)
    ref = ModelRef("x", adapter="lora")
    with_before = Models([ref], Folders(tmp_path, {}))
    before = with_before[ref].identity()
    data = (tmp_path / changed).read_bytes()
    (tmp_path / changed).write_bytes(data + b" ")
    assert with_before[ref].identity() != before
    with_before.close()
