"""The tokens of a model folder, read from ``tokenizer.json`` alone.

A token is what its bytes are (see `umm.checkpoint.spelling`), so tokens of different tokenizer families are
the same when their bytes are. Where several tokens of one vocabulary have the same bytes (the piece ``A`` and
the byte piece ``<0x41>``), a token of another vocabulary is matched with the one of the same spelling, else
with the lowest id.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umm.checkpoint.folder import MAX_SMALL_FILE_BYTES, Folder
from umm.checkpoint.spelling import Spelling
from umm.checkpoint.strict import parse_object, shown
from umm.errors import CheckpointError
from umm.recipe.model import ModelRef

TOKENIZER_FILE = "tokenizer.json"

TOKENIZER_CONFIG_FILE = "tokenizer_config.json"

MAX_TOKEN_ID = 2**23
"""Token ids lie below this; the largest public vocabularies have about a million tokens."""

MAX_TOKEN_BYTES = 64 * 1024
"""The longest spelling of one token, in UTF-8."""

ADDED_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
"""What a tokenizer knows about an added token beside its content."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class AddedToken:
    """A token matched in the text before the tokenizer's own rules run."""

    content: str
    flags: Mapping[str, bool]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id. ``spellings`` holds every token; ``added`` those that are added tokens.

    ``meanings`` holds the bytes of tokens that do not spell them (those that a union appended). ``raw`` and
    ``config`` are the bytes of ``tokenizer.json`` and, if there is one, of
    ``tokenizer_config.json``.
    """

    where: str
    spellings: Mapping[int, str]
    added: Mapping[int, AddedToken]
    spelling: Spelling
    raw: bytes = field(repr=False)
    config: bytes | None = field(default=None, repr=False)
    dropped: Mapping[int, str] = field(default_factory=dict)
    meanings: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, raw: bytes, config: bytes | None, where: str) -> "Vocabulary":
        """The vocabulary that a ``tokenizer.json`` with the bytes ``raw`` describes."""
        document: dict[str, Any] = parse_object(raw, where)
        spellings = _model_tokens(document, where)
        added = _added_tokens(document, where)
        if config is not None:
            added |= _added_by_config(config, {*spellings, *added}, f"{where} ({TOKENIZER_CONFIG_FILE})")
        spellings.update({token_id: token.content for token_id, token in added.items()})
        _check_tokens(spellings, where)
        added = dict(sorted(added.items()))
        return cls(where, dict(sorted(spellings.items())), added, Spelling.of(document), raw, config)

    def within(self, rows: int) -> "Vocabulary":
        """Without the tokens that an embedding of ``rows`` rows has no row for; ``dropped`` lists them."""
        dropped = {i: text for i, text in self.spellings.items() if i >= rows}
        if not dropped:
            return self
        return replace(
            self,
            spellings={i: text for i, text in self.spellings.items() if i < rows},
            added={i: token for i, token in self.added.items() if i < rows},
            dropped={**self.dropped, **dropped},
        )

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self.spellings, default=-1) + 1

    @cached_property
    def digest(self) -> bytes:
        """Equal for vocabularies read from equal files."""
        return _digest(self.raw, self.config)

    @cached_property
    def by_bytes(self) -> Mapping[bytes, int]:
        """The lowest id for each token's bytes."""
        found: dict[bytes, int] = {}
        for token_id in self.spellings:
            found.setdefault(self.bytes_of(token_id), token_id)
        return found

    @cached_property
    def by_spelling(self) -> Mapping[str, int]:
        """The lowest id for each spelling; an added token before a plain one of the same spelling."""
        found = {token.content: token_id for token_id, token in sorted(self.added.items(), reverse=True)}
        for token_id, text in self.spellings.items():
            found.setdefault(text, token_id)
        return found

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes that a token stands for."""
        if token_id in self.meanings:
            return self.meanings[token_id]
        text = self.spellings[token_id]
        return text.encode() if token_id in self.added else self.spelling.to_bytes(text)

    def find(self, text: str, data: bytes) -> int | None:
        """The id of the token with these bytes, by preference the one that is also spelled so."""
        token_id = self.by_spelling.get(text)
        if token_id is not None and self.bytes_of(token_id) == data:
            return token_id
        return self.by_bytes.get(data)


def vocabularies(folders: Mapping[ModelRef, Path]) -> dict[ModelRef, Vocabulary]:
    """The vocabulary of each model; models with equal files, as most fine-tunes have, share one."""
    shared: dict[bytes, Vocabulary] = {}
    found = {}
    for model, folder in folders.items():
        raw, config = _files(folder)
        digest = _digest(raw, config)
        if digest not in shared:
            shared[digest] = Vocabulary.parse(raw, config, str(folder / TOKENIZER_FILE))
        found[model] = shared[digest]
    return found


def row_map(output: Vocabulary, vocabulary: Vocabulary, rows: int) -> Rows:
    """For each output id, the row of the same token in an embedding of ``rows`` rows, or -1."""
    known = vocabulary.within(rows)
    found = np.full(output.size, -1, dtype=np.int64)
    if known.digest == output.digest:
        ids = np.fromiter((i for i in output.spellings if i in known.spellings), dtype=np.int64)
        found[ids] = ids
        return found
    for token_id, text in output.spellings.items():
        row = known.find(text, output.bytes_of(token_id))
        if row is not None:
            found[token_id] = row
    return found


def _files(folder: Path) -> tuple[bytes, bytes | None]:
    """The bytes of ``tokenizer.json`` and of ``tokenizer_config.json`` if there is one."""
    here = Folder.of(folder)
    if not here.has(TOKENIZER_FILE):
        raise CheckpointError(
            f"{folder} has no {TOKENIZER_FILE}, without which token ids mean nothing. Make one with "
            f'transformers: AutoTokenizer.from_pretrained("{folder}").save_pretrained("{folder}").'
        )
    raw = here.read(TOKENIZER_FILE, MAX_SMALL_FILE_BYTES)
    has_config = here.has(TOKENIZER_CONFIG_FILE)
    return raw, here.read(TOKENIZER_CONFIG_FILE, MAX_SMALL_FILE_BYTES) if has_config else None


def _digest(raw: bytes, config: bytes | None) -> bytes:
    return hashlib.sha256(raw).digest() + hashlib.sha256(config or b"").digest()


def _model_tokens(document: Mapping[str, Any], where: str) -> dict[int, str]:
    model = document.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if isinstance(vocab, list):
        if not all(isinstance(piece, list) and len(piece) == 2 for piece in vocab):
            raise CheckpointError(f"{where}: the vocabulary must be a list of pieces with their scores.")
        return {i: piece[0] for i, piece in enumerate(vocab)}
    if not isinstance(vocab, dict):
        raise CheckpointError(
            f"{where}: there is no vocabulary (model.vocab); this is not a tokenizer of transformers."
        )
    if not all(type(i) is int for i in vocab.values()):
        raise CheckpointError(f"{where}: the ids of the vocabulary must be whole numbers.")
    tokens = {i: text for text, i in vocab.items()}
    if len(tokens) != len(vocab):
        raise CheckpointError(f"{where}: two tokens of the vocabulary have the same id.")
    return tokens


def _added_tokens(document: Mapping[str, Any], where: str) -> dict[int, AddedToken]:
    listed = document.get("added_tokens") or []
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise CheckpointError(f"{where}: added_tokens must be a list of tokens.")
    found: dict[int, AddedToken] = {}
    for entry in listed:
        token_id = entry.get("id")
        if type(token_id) is not int or token_id in found:
            raise CheckpointError(f"{where}: an added token has no id of its own: {shown(str(entry))}.")
        found[token_id] = _added_token(entry, where)
    return found


def _added_token(entry: Any, where: str) -> AddedToken:
    content = entry.get("content") if isinstance(entry, dict) else None
    if not isinstance(content, str) or not content:
        raise CheckpointError(f"{where}: an added token has no content: {shown(str(entry))}.")
    return AddedToken(content, {flag: bool(entry.get(flag)) for flag in ADDED_FLAGS})


def _added_by_config(config: bytes, known: set[int], where: str) -> dict[int, AddedToken]:
    """Tokens that only the tokenizer's settings add; transformers adds them when it loads the tokenizer."""
    listed = parse_object(config, where).get("added_tokens_decoder") or {}
    if not isinstance(listed, dict) or not all(i.isdecimal() and len(i) < 10 for i in listed):
        raise CheckpointError(f"{where}: added_tokens_decoder must map token ids to tokens.")
    return {int(i): _added_token(entry, where) for i, entry in listed.items() if int(i) not in known}


def _check_tokens(spellings: Mapping[int, Any], where: str) -> None:
    for token_id, text in spellings.items():
        if not 0 <= token_id < MAX_TOKEN_ID:
            raise CheckpointError(f"{where}: token id {token_id} is not between 0 and {MAX_TOKEN_ID}.")
        if not isinstance(text, str):
            raise CheckpointError(f"{where}: token {token_id} is not text.")
        length = len(text.encode())
        if length > MAX_TOKEN_BYTES:
            raise CheckpointError(f"{where}: token {token_id} has {length} bytes; the limit is {MAX_TOKEN_BYTES}.")
