"""The vocabulary of a merged model and the tokenizer files that go with it.

1. ``base`` and a model's path take that model's tokenizer; ``union`` takes the base's and appends, in recipe
   order and then by id, every token of the other models whose bytes it lacks.
2. Tokens named by the recipe's rules that exist nowhere are appended last, in the recipe's order.
3. Appended tokens are *added tokens*: the tokenizer's own rules stay as they are, so it encodes a text as
   before unless an appended token occurs in it. A token that was an added token keeps its flags. A plain
   token of another tokenizer is spelled as the base would spell its bytes.
4. Tokens that the donor's embedding has no row for are removed.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from umm.checkpoint.strict import parse_object, shown
from umm.checkpoint.vocabulary import (
    ADDED_FLAGS,
    MAX_TOKEN_ID,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    AddedToken,
    Vocabulary,
)
from umm.errors import CheckpointError, RecipeError
from umm.listing import inline
from umm.recipe.model import ModelRef, TokenizerRule

OUTDATED_FILES = frozenset(
    {
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "tokenizer.model",
        "spiece.model",
        "tokenizer.tiktoken",
    }
)
"""Files that describe the donor's vocabulary another way: not to be copied beside a changed
``tokenizer.json``.
"""

_PLAIN_FLAGS = dict.fromkeys(ADDED_FLAGS, False)


@dataclass(frozen=True)
class OutputVocabulary:
    """The tokens of the output, its embedding's rows (padding included) and the files that differ from the
    donor's.

    When ``files`` is empty, the tokenizer files of ``donor`` are right as they are; otherwise those of the
    donor that are neither in ``files`` nor in `OUTDATED_FILES` go with them.
    """

    tokens: Vocabulary
    rows: int
    donor: ModelRef
    files: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def output_vocabulary(
    rule: TokenizerRule, base: ModelRef, vocabularies: Mapping[ModelRef, Vocabulary]
) -> OutputVocabulary:
    """The vocabulary that ``rule`` asks for.

    ``vocabularies`` holds every model in recipe order, each `Vocabulary.within` its embedding, and the model
    that the rule takes its tokenizer from; ``base`` is the recipe's base or else its first model.
    """
    donor_ref = rule.source if isinstance(rule.source, ModelRef) else base
    donor = vocabularies.get(donor_ref)
    if donor is None:
        raise RecipeError(f"The tokenizer is to come from {donor_ref}, which has no vocabulary here.")
    growth = _Growth(donor)
    if rule.source == "union":
        for model, vocabulary in vocabularies.items():
            growth.append_missing(str(model), vocabulary)
    for text in rule.tokens:
        if not text:
            raise RecipeError("tokenizer: a token in `tokens` is empty; write its text.")
        growth.append(AddedToken(text, _PLAIN_FLAGS))
    warnings = [_listed(f"{m}: its embedding has no row for", v.dropped.values()) for m, v in vocabularies.items()]
    warnings += growth.warnings
    tokens, files = _with_tokens(donor, growth.appended, growth.meanings)
    multiple = rule.pad_to_multiple_of or 1
    rows = -(-tokens.size // multiple) * multiple
    return OutputVocabulary(tokens, rows, donor_ref, files, tuple(w for w in warnings if w))


class _Growth:
    """The tokens appended to a donor's vocabulary so far."""

    def __init__(self, donor: Vocabulary) -> None:
        self.donor = donor
        self.appended: dict[int, AddedToken] = {}
        self.meanings: dict[int, bytes] = {}
        self.warnings: list[str] = []
        self._contents: set[str] = set()
        self._bytes: set[bytes] = set()
        self._next = donor.size

    def append(self, token: AddedToken, meaning: bytes | None = None) -> bool:
        """Append ``token``, which stands for its content or for ``meaning``, unless a token is spelled so."""
        if token.content in self._contents or token.content in self.donor.by_spelling:
            return False
        if self._next >= MAX_TOKEN_ID:
            raise CheckpointError(f"The output would have more than {MAX_TOKEN_ID} tokens; use fewer models.")
        self.appended[self._next] = token
        if meaning is not None:
            self.meanings[self._next] = meaning
        self._contents.add(token.content)
        self._next += 1
        return True

    def append_missing(self, model: str, vocabulary: Vocabulary) -> None:
        """Append every token whose bytes nothing has yet."""
        unspellable = []
        for token_id, text in vocabulary.spellings.items():
            data = vocabulary.bytes_of(token_id)
            if data in self.donor.by_bytes or data in self._bytes:
                continue
            self._bytes.add(data)
            content = self.donor.spelling.to_text(data) or text
            token = vocabulary.added.get(token_id) or AddedToken(content, _PLAIN_FLAGS)
            if not token.content or not self.append(token, data):
                unspellable.append(text)
        self.warnings.append(_listed(f"{model}: the output tokenizer has no way to spell", unspellable))


def _with_tokens(
    donor: Vocabulary, appended: Mapping[int, AddedToken], meanings: Mapping[int, bytes]
) -> tuple[Vocabulary, dict[str, bytes]]:
    """The donor's vocabulary without what it dropped and with ``appended``, and the files that say so."""
    if not appended and not donor.dropped:
        return donor, {}
    added = {**donor.added, **appended}
    document: dict[str, Any] = parse_object(donor.raw, donor.where)
    _check_merges(document["model"], donor.where)
    _remove_rowless(document, donor)
    listed = document.get("added_tokens") or []
    present = {entry["id"] for entry in listed}
    new = {i: token for i, token in added.items() if i not in present}
    document["added_tokens"] = listed + [_entry(i, token) for i, token in new.items()]
    raw = _dumped(document)
    _check_loads(raw, new)
    files = {TOKENIZER_FILE: raw}
    config = donor.config and _config_with(donor, appended)
    if config:
        files[TOKENIZER_CONFIG_FILE] = config
    spellings = {**donor.spellings, **{i: token.content for i, token in appended.items()}}
    tokens = replace(donor, spellings=spellings, added=added, raw=raw, config=config, dropped={}, meanings=meanings)
    return tokens, files


def _remove_rowless(document: dict[str, Any], donor: Vocabulary) -> None:
    """Remove the tokens that ``donor`` dropped, and the merges of a BPE that need or make them."""
    dropped = donor.dropped
    if not dropped:
        return
    document["added_tokens"] = [e for e in document.get("added_tokens") or [] if e["id"] not in dropped]
    model = document["model"]
    if isinstance(model["vocab"], list):
        model["vocab"] = model["vocab"][: min(dropped)]
        return
    model["vocab"] = {text: i for text, i in model["vocab"].items() if i not in dropped}
    if "merges" in model:
        prefix = len(model.get("continuing_subword_prefix") or "")
        model["merges"] = [m for m in model["merges"] if _merge_stays(m, model["vocab"], prefix)]


def _merge_stays(merge: str | list[str], vocab: Mapping[str, int], prefix: int) -> bool:
    left, right = _parts(merge)
    return left in vocab and right in vocab and left + right[prefix:] in vocab


def _parts(merge: Any) -> Any:
    """The two tokens of a merge, which is a pair of them or one text with a space between them."""
    return merge.split(" ") if isinstance(merge, str) else merge


def _check_merges(model: Mapping[str, Any], where: str) -> None:
    """Refuse merges that are not two tokens, the second with the prefix of tokens inside of a word.

    The tokenizers library cuts the prefix off without looking, which for other texts can end the process.
    """
    merges, prefix = model.get("merges", []), model.get("continuing_subword_prefix") or ""
    if not isinstance(merges, list) or not isinstance(prefix, str):
        raise CheckpointError(f"{where}: model.merges must be a list and continuing_subword_prefix a text.")
    for merge in merges:
        parts = _parts(merge)
        pair = isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, str) for part in parts)
        if not pair or not parts[1].startswith(prefix):
            raise CheckpointError(
                f"{where}: {shown(str(merge))} is not a merge of two tokens, the second beginning with {shown(prefix)}."
            )


def _config_with(donor: Vocabulary, appended: Mapping[int, AddedToken]) -> bytes | None:
    """``tokenizer_config.json`` with its table of added tokens brought up to date; None if it has no such
    table.
    """
    document = parse_object(donor.config or b"{}", f"{donor.where} ({TOKENIZER_CONFIG_FILE})")
    table = document.get("added_tokens_decoder")
    if not isinstance(table, dict):
        return donor.config
    kept = {i: entry for i, entry in table.items() if int(i) not in donor.dropped}
    new = {str(i): {"content": token.content, **token.flags} for i, token in appended.items()}
    document["added_tokens_decoder"] = {**kept, **new}
    return _dumped(document)


def _entry(token_id: int, token: AddedToken) -> dict[str, Any]:
    return {"id": token_id, "content": token.content, **token.flags}


def _dumped(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _check_loads(raw: bytes, appended: Mapping[int, AddedToken]) -> None:
    """Refuse an output that the tokenizers library reads otherwise than we wrote it."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(raw.decode())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises nothing more precise, and its panics are no Exception
        raise CheckpointError(
            f"The output tokenizer does not load ({error}); use `tokenizer: {{source: base}}`."
        ) from error
    for token_id, token in appended.items():
        found = tokenizer.token_to_id(token.content)
        if found != token_id:
            raise CheckpointError(
                f"The output tokenizer gives id {found} to {shown(token.content)}, which should have "
                f"{token_id}: the base's token ids have gaps, so nothing can be appended to them. Use "
                "another base, or `tokenizer: {source: base}`."
            )


def _listed(intro: str, tokens: Collection[str]) -> str:
    named = inline([shown(t) for t in tokens])
    return f"{intro} {len(tokens)} of its tokens, which are left out: {named}." if tokens else ""
