"""A model folder that somebody else wrote: which weight files it has, and whether they stay inside.

Its bytes are about to be served to strangers, so a link to ``~/.ssh/id_ecdsa`` called ``config.json`` must not be
followed. Links are followed only as far as the folder itself or, in the cache layout of the Hugging Face hub
(``models--org--name/snapshots/<revision>/x -> ../../blobs/<digest>``), the repository's own ``models--`` folder.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.blobs import weights_json
from protocol.blobs.disk import blaming_the_machine, read_up_to
from protocol.blobs.kinds import About
from protocol.blobs.layout import MAX_SHARDS, ONLY, index_name, single_name
from protocol.blobs.safetensors_header import PREFIX_BYTES, Entry, header_length, parse_header
from protocol.blobs.weights_json import MAX_JSON_BYTES
from protocol.errors import EnvironmentFault, MalformedError, TooLargeError, UsageError
from protocol.strict import shown

MAX_SHARD_NAME_CHARACTERS = 255
ENDING = ".safetensors"

OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Opening a pipe must not wait for somebody to write into it."""


@dataclass(frozen=True)
class ModelFolder:
    """``path`` as it was given, ``inside`` the resolved folder that no link may leave."""

    path: Path
    inside: Path

    @classmethod
    def of(cls, path: Path) -> "ModelFolder":
        """The folder at ``path``; the path itself may be a link, since its owner chose it."""
        if not path.is_dir():
            raise UsageError(f"{path} is not a folder; a model is a folder with a config and *{ENDING}")
        root = path.resolve()
        for repository, child in zip(root.parents, (root, *root.parents), strict=False):
            if repository.name.startswith("models--") and child.name == "snapshots":
                return cls(path, repository)
        return cls(path, root)

    def has(self, name: str) -> bool:
        """Whether there is anything called ``name``, a dangling link included."""
        return os.path.lexists(self.path / name)

    def file(self, name: str) -> tuple[Path, int]:
        """The resolved path and the size of a file that must exist, be a plain file and lie inside."""
        path = self.path / name
        try:
            resolved = path.resolve(strict=True)
            status = resolved.stat()
        except (OSError, RuntimeError) as error:  # Python 3.11 and 3.12 raise RuntimeError for a loop of links
            raise UsageError(f"{path} is missing, or a link to nothing; fetch the model again") from error
        if not resolved.is_relative_to(self.inside):
            raise UsageError(f"{path} is a link out of its model folder (to {resolved}); copy the file instead")
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is not a plain file")
        return resolved, status.st_size

    def tensors(self, about: About) -> Iterator[tuple[Entry, Path]]:
        """Every tensor with the file it lies in, after checking headers and index against each other."""
        if self.has(ONLY):
            raise UsageError(
                f"{self.path} holds a part of a model (see {ONLY} there), which cannot be shared as a whole"
            )
        for shard, expected in self._shards(about).items():
            path, size = self.file(shard)
            entries = _entries(path, size, str(self.path / shard))
            names = {entry.name for entry in entries}
            if expected is not None and expected != names:
                odd = shown(min(expected ^ names))
                raise MalformedError(f"{self.path / shard} and the index disagree about {odd}; fetch the model again")
            yield from ((entry, path) for entry in entries)

    def _shards(self, about: About) -> Mapping[str, frozenset[str] | None]:
        """The weight files, each with the tensors the index expects in it (None where there is no index).

        Where both a single file and an index exist, the single file counts: transformers takes it first too.
        """
        single, index = single_name(about), index_name(about)
        if self.has(single):
            return {single: None}
        if not (about.SHARDED and self.has(index)):
            wanted = f"neither {single} nor {index}" if about.SHARDED else f"no {single}"
            raise UsageError(f"{self.path} holds no {about.NAME}: there is {wanted}")
        return self._indexed(index)

    def _indexed(self, index: str) -> Mapping[str, frozenset[str]]:
        where = str(self.path / index)
        path, size = self.file(index)
        if size > MAX_JSON_BYTES:
            raise TooLargeError(f"{where} is {size} bytes long; the limit is {MAX_JSON_BYTES}")
        with reading(path) as fd:
            weight_map = weights_json.parse(read_up_to(fd, size, 0), where).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise MalformedError(f"{where} has no weight_map; fetch it again")
        found: dict[str, set[str]] = {}
        for tensor, shard in weight_map.items():
            if not isinstance(shard, str) or not _is_plain(shard):
                name = shown(str(shard))
                raise MalformedError(f"{where} puts a tensor into {name}, which is no {ENDING} file beside it")
            found.setdefault(shard, set()).add(tensor)
        if len(found) > MAX_SHARDS:
            raise TooLargeError(f"{where} names {len(found)} files; the limit is {MAX_SHARDS}")
        return {shard: frozenset(names) for shard, names in sorted(found.items())}


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """A descriptor for reading, for a moment."""
    with blaming_the_machine("read", path):
        fd = os.open(path, OPEN)
        try:
            yield fd
        finally:
            os.close(fd)


def _entries(path: Path, size: int, where: str) -> tuple[Entry, ...]:
    with reading(path) as fd:
        prefix = read_up_to(fd, PREFIX_BYTES, 0)
        wanted = PREFIX_BYTES + header_length(prefix, size, where)
        head = read_up_to(fd, wanted, 0)
    if len(head) != wanted:
        raise EnvironmentFault(f"{path} became shorter while it was read; let nobody write into a shared model")
    return parse_header(head, size, where)


def _is_plain(shard: str) -> bool:
    plain = shard.isprintable() and not any(mark in shard for mark in "/\\")
    return plain and len(shard) <= MAX_SHARD_NAME_CHARACTERS and shard.endswith(ENDING) and shard[0] != "."
