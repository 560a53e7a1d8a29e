"""What a manifest may be of, what it must say beside its tables, and which files may lie beside the weights.

The files are closed lists. A name that comes from a stranger becomes a file in somebody's model folder, where
transformers, a shell or an editor will read it: there is no place for a ``modeling_x.py``, a ``.bashrc`` or a second
index. New names are added here, with a new version of the manifest where they change the meaning of a folder.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, TypeVar

from protocol.errors import MalformedError, TooNewError
from protocol.field import number

DIGEST_BYTES = 32
TOP_K_BYTES = 2

CODEC_BYTES = 1

DIFFERENCE_PLANES = 1
"""The only codec of deltas so far: the difference of the bits of expert and base, in planes of bytes, with zstd."""

MAX_TOP_K = 4096
"""Probabilities kept for one token."""

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
RESPONSES = "responses.jsonl"

TOKENIZER_FILES = frozenset({
    "added_tokens.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tekken.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
})  # fmt: skip

MODEL_FILES = TOKENIZER_FILES | {
    "chat_template.jinja",
    "chat_template.json",
    CONFIG,
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
}
"""Everything beside the weights that a checkpoint's root covers."""

MAX_CONFIG_BYTES = 16 * 2**20
MAX_FILE_BYTES = 256 * 2**20
"""Any other file; the longest tokenizers have some 30 MB."""

LIMITS = {CONFIG: MAX_CONFIG_BYTES, ADAPTER_CONFIG: MAX_CONFIG_BYTES}


class About(Protocol):
    """What one kind of manifest says about itself; frozen."""

    CODE: ClassVar[int]
    """Its number in a manifest: listed below, never reused."""

    NAME: ClassVar[str]
    """Its name in records."""

    WEIGHTS: ClassVar[str]
    """How its weight files are called, without the ending."""

    ALLOWED: ClassVar[frozenset[str]]
    """The files that may lie beside them."""

    REQUIRED: ClassVar[frozenset[str]]
    """The files that must."""

    SHARDED: ClassVar[bool]
    """Whether readers of this kind understand weights in several files."""

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        ...

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """What these bytes say."""
        ...


KINDS: dict[int, type[About]] = {}
"""Every kind, by its number."""

Registered = TypeVar("Registered", bound=type[About])


def kind(cls: Registered) -> Registered:
    """Enter a class into ``KINDS``."""
    if cls.CODE in KINDS:
        raise ValueError(f"kind {cls.CODE} is taken")
    KINDS[cls.CODE] = cls
    return cls


@kind
@dataclass(frozen=True)
class Checkpoint:
    """A whole model. It says nothing more: what it is, is in its config."""

    CODE: ClassVar[int] = 1
    NAME: ClassVar[str] = "checkpoint"
    WEIGHTS: ClassVar[str] = "model"
    ALLOWED: ClassVar[frozenset[str]] = MODEL_FILES
    REQUIRED: ClassVar[frozenset[str]] = frozenset({CONFIG})
    SHARDED: ClassVar[bool] = True

    def encode(self) -> bytes:
        """Nothing."""
        return b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Nothing, and nothing else."""
        _exactly(data, 0, cls.NAME)
        return cls()


@dataclass(frozen=True)
class _OnBase:
    """The root of the checkpoint that it changes."""

    base: bytes
    NAME: ClassVar[str]

    def __post_init__(self) -> None:
        _digest(self.base, "base")

    def encode(self) -> bytes:
        """The base's root."""
        return self.base

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The base's root."""
        _exactly(data, DIGEST_BYTES, cls.NAME)
        return cls(data)


@kind
@dataclass(frozen=True)
class Delta(_OnBase):
    """What an expert has in place of the base's values, under the base's tensor names, in the spelling of ``codec``.

    A config or tokenizer that differs may lie beside it.
    """

    codec: int = DIFFERENCE_PLANES

    CODE: ClassVar[int] = 2
    NAME: ClassVar[str] = "delta"
    WEIGHTS: ClassVar[str] = "delta"
    ALLOWED: ClassVar[frozenset[str]] = MODEL_FILES
    REQUIRED: ClassVar[frozenset[str]] = frozenset()
    SHARDED: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.codec > DIFFERENCE_PLANES:
            raise TooNewError(f"a delta in codec {self.codec}; this program knows {DIFFERENCE_PLANES}. Update it")
        if self.codec < DIFFERENCE_PLANES:
            raise MalformedError(f"a delta in codec {self.codec}, which never was")

    def encode(self) -> bytes:
        """The base's root, then the codec in 1 byte."""
        return self.base + number(self.codec, CODEC_BYTES)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """See ``encode``."""
        _exactly(data, DIGEST_BYTES + CODEC_BYTES, cls.NAME)
        return cls(data[:DIGEST_BYTES], data[DIGEST_BYTES])


@kind
@dataclass(frozen=True)
class Adapter(_OnBase):
    """A LoRA, as PEFT writes it."""

    CODE: ClassVar[int] = 3
    NAME: ClassVar[str] = "adapter"
    WEIGHTS: ClassVar[str] = "adapter_model"
    ALLOWED: ClassVar[frozenset[str]] = MODEL_FILES - {CONFIG} | {ADAPTER_CONFIG}
    REQUIRED: ClassVar[frozenset[str]] = frozenset({ADAPTER_CONFIG})
    SHARDED: ClassVar[bool] = False


@kind
@dataclass(frozen=True)
class Distributions:
    """The ``top_k`` next-token probabilities on the prompt set whose blob is ``prompts``, and the vocabulary."""

    prompts: bytes
    top_k: int

    CODE: ClassVar[int] = 4
    NAME: ClassVar[str] = "distributions"
    WEIGHTS: ClassVar[str] = "distributions"
    ALLOWED: ClassVar[frozenset[str]] = TOKENIZER_FILES | {RESPONSES}
    REQUIRED: ClassVar[frozenset[str]] = frozenset()
    SHARDED: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _digest(self.prompts, "prompt set")
        if not 1 <= self.top_k <= MAX_TOP_K:
            raise MalformedError(f"distributions of the top {self.top_k}; 1 to {MAX_TOP_K} are allowed")

    def encode(self) -> bytes:
        """The blob id of the prompt set, then ``top_k`` in 2 bytes little-endian."""
        return self.prompts + number(self.top_k, TOP_K_BYTES)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """See ``encode``."""
        _exactly(data, DIGEST_BYTES + TOP_K_BYTES, cls.NAME)
        return cls(data[:DIGEST_BYTES], int.from_bytes(data[DIGEST_BYTES:], "little"))


def file_limit(name: str) -> int:
    """Bytes that a file beside the weights may have."""
    return LIMITS.get(name, MAX_FILE_BYTES)


def _exactly(data: bytes, size: int, name: str) -> None:
    if len(data) != size:
        raise MalformedError(f"a manifest says {len(data)} bytes about its {name}; it takes {size}")


def _digest(data: bytes, what: str) -> None:
    if len(data) != DIGEST_BYTES:
        raise MalformedError(f"the digest of a {what} has {len(data)} bytes, not {DIGEST_BYTES}")
