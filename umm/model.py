"""The models that a recipe names, opened: where their folders are, their tensors, an adapter put on top."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from umm.checkpoint.adapter import Adapter
from umm.checkpoint.disk import blaming_the_machine
from umm.checkpoint.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CONFIG
from umm.checkpoint.reader import Checkpoint
from umm.checkpoint.source import Source
from umm.errors import CheckpointError, RecipeError
from umm.public import HUB_NAME
from umm.recipe.model import ModelRef, Recipe
from umm.recipe.wording import shown


@dataclass(frozen=True)
class Model:
    """An open checkpoint under the name that the recipe gives it."""

    ref: ModelRef
    checkpoint: Checkpoint
    adapter: Adapter | None = None
    adapter_folder: Path | None = None

    @property
    def config(self) -> Mapping[str, object]:
        """The model's ``config.json``."""
        return self.checkpoint.config

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Every tensor's shape by name."""
        return {name: t.shape for name, t in self.checkpoint.tensors.items()}

    def source(self, name: str) -> Source:
        """A floating-point tensor's values, with the adapter applied."""
        plain = self.checkpoint.source(name)
        return self.adapter.apply(name, plain) if self.adapter else plain

    def identity(self) -> list[str]:
        """What tells these files from others without reading them: names, sizes, times of change."""
        files = {t.file for t in self.checkpoint.tensors.values()}
        files |= {self.checkpoint.folder / CONFIG, *self.checkpoint.small_files().values()}
        if self.adapter_folder:
            files |= {self.adapter_folder / ADAPTER_CONFIG, self.adapter_folder / ADAPTER_WEIGHTS}
        return sorted(map(_identity, files))


def _identity(file: Path) -> str:
    with blaming_the_machine("look at", file):
        status = file.stat()
    return f"{file.name}:{status.st_size}:{status.st_mtime_ns}"


class Models:
    """All models of a recipe, open until closed; looked up by reference."""

    def __init__(self, refs: Iterable[ModelRef], folders: "Folders") -> None:
        self._opened: dict[ModelRef, Model] = {}
        with ExitStack() as undo:
            checkpoints: dict[Path, Checkpoint] = {}
            for ref in refs:
                folder = folders.find(ref.path, ref.revision)
                if folder not in checkpoints:
                    checkpoints[folder] = undo.enter_context(Checkpoint.open(folder))
                model = Model(ref, checkpoints[folder])
                if ref.adapter:
                    path, _, revision = ref.adapter.partition("@")
                    place = folders.find(path, revision or None, ADAPTER_CONFIG)
                    adapter = undo.enter_context(Adapter.open(place, model.shapes))
                    model = Model(ref, checkpoints[folder], adapter, place)
                self._opened[ref] = model
            self._files = undo.pop_all()

    @classmethod
    def of(cls, recipe: Recipe, folders: "Folders") -> "Models":
        """All that a recipe names, those that only give a tokenizer or a token included."""
        refs = list(recipe.models())
        if recipe.tokenizer:
            named = [recipe.tokenizer.source, *(rule.model for rule in recipe.tokenizer.tokens.values())]
            refs += [m for m in named if isinstance(m, ModelRef)]
        return cls(dict.fromkeys(refs), folders)

    def __getitem__(self, ref: ModelRef) -> Model:
        return self._opened[ref]

    def __iter__(self) -> Iterator[Model]:
        return iter(self._opened.values())

    def close(self) -> None:
        """Close every file."""
        self._files.close()


@dataclass(frozen=True)
class Folders:
    """Where to look for models: results of earlier documents, then folders, then the hub's local cache."""

    beside: Path
    stages: Mapping[str, Path]

    def find(self, path: str, revision: str | None, file: str = CONFIG) -> Path:
        """The folder of a model as the recipe names it, known by its ``file``; nothing is downloaded."""
        if path in self.stages:
            return self.stages[path]
        try:
            given = Path(path).expanduser()
            found = [p for p in (given, self.beside / given) if p.exists()]
        except (OSError, RuntimeError) as error:  # a name too long, or the home of nobody
            raise RecipeError(f"{shown(path)} cannot be a model folder: {error}") from None
        if folder := next((p for p in found if p.is_dir()), None):
            return folder
        if found:
            raise CheckpointError(f"{found[0]} is a file; a model is a folder with {CONFIG} and *.safetensors")
        on_hub = HUB_NAME.fullmatch(path)
        if on_hub and (cached := _from_hub_cache(path, revision, file)):
            return cached
        hint = f"Paths are taken from the current folder and from the recipe's ({self.beside})."
        if on_hub:
            wanted = f"{path} --revision {revision}" if revision else path
            hint = f"If it is on the Hugging Face hub, fetch it first: hf download {wanted}\n{hint}"
        raise RecipeError(f"no model folder at {path}.\n{hint}")


def _from_hub_cache(name: str, revision: str | None, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file, revision=revision)
    except HFValidationError:  # no name that the hub would give, as a..b/c
        return None
    return Path(found).parent if isinstance(found, str) else None
