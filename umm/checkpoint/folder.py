"""A model folder before anything in it is understood: which files there are, and whether they stay inside.

Folders come from strangers. A path may be a link to ``/etc/shadow``, an index may name ``../../other``, a
file may be a pipe that never ends. Links are followed only as far as the folder itself or, in the cache
layout of the Hugging Face hub (``models--org--name/snapshots/<revision>/x -> ../../blobs/<digest>``), the
repository's own ``models--`` folder.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from umm.checkpoint.disk import blaming_the_machine, read_exactly
from umm.checkpoint.header import MAX_HEADER_BYTES
from umm.checkpoint.strict import JsonObject, parse_object, shown
from umm.errors import CheckpointError
from umm.listing import inline

MODEL = "model"
"""How the weight files of a model are called, without the ending."""

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
PARTIAL = ".umm-partial"
"""Unfinished output of ours; see ``writer``."""
ONLY = "umm-only.json"
"""Marks a folder that holds a part of a model: it lists the tensors whose values are there; all others are holes."""

SMALL_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
    "vocab.txt",
)
"""Files beside config and weights that belong to the model: tokenizer, generation, preprocessors."""

FOREIGN_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack")
"""Endings of weight files that are not safetensors; most of them can run code when loaded."""

MAX_CONFIG_BYTES = 16 * 2**20
MAX_INDEX_BYTES = MAX_HEADER_BYTES
MAX_ONLY_BYTES = MAX_HEADER_BYTES
MAX_SMALL_FILE_BYTES = 256 * 2**20
MAX_SHARDS = 4096
MAX_SHARD_NAME_CHARACTERS = 255


@dataclass(frozen=True)
class Folder:
    """A model folder: ``path`` as it was given, ``inside`` the resolved folder that no link may leave."""

    path: Path
    inside: Path

    @classmethod
    def of(cls, path: Path) -> "Folder":
        """The folder at ``path``; the path itself may be a link, since its owner chose it."""
        if not path.is_dir():
            raise CheckpointError(f"{path} is not a folder; a model is a folder with config.json and *.safetensors")
        root = path.resolve()
        for repository, child in zip(root.parents, (root, *root.parents), strict=False):
            if repository.name.startswith("models--") and child.name == "snapshots":
                return cls(path, repository)
        return cls(path, root)

    def has(self, name: str) -> bool:
        """Whether there is anything called ``name``, a dangling link included."""
        return os.path.lexists(self.path / name)

    def file(self, name: str) -> Path:
        """The resolved path of a file that must exist, be a plain file and lie inside."""
        path = self.path / name
        try:
            resolved = path.resolve(strict=True)
        except (
            OSError,
            RuntimeError,
        ) as error:  # Python 3.11 and 3.12 raise RuntimeError for a loop of links
            raise CheckpointError(f"{path} is missing, or a link to nothing; fetch the model again") from error
        if not resolved.is_relative_to(self.inside):
            raise CheckpointError(f"{path} is a link out of its model folder (to {resolved}); copy the file instead")
        if not resolved.is_file():
            raise CheckpointError(f"{path} is not a plain file")
        return resolved

    def open(self, name: str) -> tuple[int, int, Path]:
        """An open descriptor, the file's size and its resolved path."""
        path = self.file(name)
        with blaming_the_machine("open", self.path / name):
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):  # replaced since ``file`` looked
            os.close(fd)
            raise CheckpointError(f"{self.path / name} is not a plain file")
        return fd, status.st_size, path

    def read(self, name: str, limit: int) -> bytes:
        """All of a small file, after checking its size."""
        fd, size, path = self.open(name)
        try:
            if size > limit:
                raise CheckpointError(f"{self.path / name} is {size} bytes long; the limit is {limit}")
            data = bytearray(size)
            read_exactly(fd, memoryview(data), 0, path)
        finally:
            os.close(fd)
        return bytes(data)

    def read_object(self, name: str, limit: int) -> JsonObject:
        """A small JSON file that holds one object."""
        return parse_object(self.read(name, limit), str(self.path / name))

    def only(self) -> frozenset[str] | None:
        """The tensors whose values are there, in a folder that was made with a part of them; None for a whole model."""
        if not self.has(ONLY):
            return None
        names = self.read_object(ONLY, MAX_ONLY_BYTES).get("tensors")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CheckpointError(f"{self.path / ONLY} does not list tensors; make the folder again")
        return frozenset(names)

    def config(self) -> JsonObject:
        """The model's ``config.json``."""
        if not self.has(CONFIG):
            raise CheckpointError(f"{self.path} has no {CONFIG}; fetch the model again, with all its files")
        return self.read_object(CONFIG, MAX_CONFIG_BYTES)

    def small_files(self) -> Mapping[str, Path]:
        """Those of ``SMALL_FILES`` that are there, resolved and checked."""
        found = {name: self.file(name) for name in SMALL_FILES if self.has(name)}
        for name, path in found.items():
            if (size := path.stat().st_size) > MAX_SMALL_FILE_BYTES:
                raise CheckpointError(f"{self.path / name} is {size} bytes long; the limit is {MAX_SMALL_FILE_BYTES}")
        return MappingProxyType(found)

    def shards(self, word: str = MODEL) -> Mapping[str, frozenset[str] | None]:
        """The weight files called ``word``, each with the tensors the index expects in it (None without an index).

        Where both a single file and an index exist, the single file counts: transformers takes it first too.
        """
        single, index = f"{word}.safetensors", f"{word}.safetensors.index.json"
        if self.has(single):
            return {single: None}
        if self.has(index):
            return self._indexed(index)
        raise self._no_weights(word)

    def _indexed(self, index: str) -> Mapping[str, frozenset[str] | None]:
        where = str(self.path / index)
        weight_map = self.read_object(index, MAX_INDEX_BYTES).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise CheckpointError(f"{where} has no weight_map; fetch it again")
        expected: dict[str, set[str]] = {}
        for tensor, shard in weight_map.items():
            if not isinstance(shard, str) or not _is_plain_name(shard):
                raise CheckpointError(
                    f"{where} puts tensor {shown(tensor)} in {shown(str(shard))}, which is not the name of a "
                    ".safetensors file in the same folder"
                )
            expected.setdefault(shard, set()).add(tensor)
        if len(expected) > MAX_SHARDS:
            raise CheckpointError(f"{where} names {len(expected)} files; the limit is {MAX_SHARDS}")
        if missing := sorted(s for s in expected if not self.has(s)):
            raise CheckpointError(f"{self.path} lacks {listed(missing)}, named by {index}; finish the download")
        return {shard: frozenset(names) for shard, names in sorted(expected.items())}

    def _no_weights(self, word: str) -> CheckpointError:
        if word != MODEL:
            return CheckpointError(f"{self.path} holds no {word}: there is no {word}.safetensors; fetch it again")
        names = sorted(p.name for p in self.path.iterdir())
        if PARTIAL in names:
            return CheckpointError(f"{self.path} holds an unfinished merge; run the same merge again to finish it")
        if ADAPTER_CONFIG in names:
            return CheckpointError(f"{self.path} is an adapter, not a model; write `model+adapter` in the recipe")
        if foreign := [n for n in names if n.endswith(FOREIGN_WEIGHTS)]:
            return CheckpointError(
                f"{self.path} has its weights in {listed(foreign)} only; convert it to safetensors first "
                "(load it in transformers and call save_pretrained)"
            )
        if other := [n for n in names if n.endswith(".safetensors")]:
            return CheckpointError(f"{self.path} has {listed(other)} but neither {SINGLE} nor {INDEX}")
        return CheckpointError(f"{self.path} has no weights: neither {SINGLE} nor {INDEX} is there")


def listed(names: list[str]) -> str:
    """A stranger's names for a message: quoted, and only a few of many."""
    return inline([shown(n) for n in names])


def _is_plain_name(shard: str) -> bool:
    plain = not any(c in "/\\" or ord(c) < 0x20 for c in shard)
    return plain and len(shard) <= MAX_SHARD_NAME_CHARACTERS and shard.endswith(".safetensors") and shard[0] != "."
