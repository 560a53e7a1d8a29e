"""How a tokenizer spells the bytes of a token: ``Ġhello`` and ``▁hello`` are both the bytes of `` hello``.

Two families hide bytes in a token's text. Byte-level tokenizers write each byte as one printable character;
metaspace (sentencepiece) tokenizers write a space as ``▁`` and a byte that has no piece as ``<0x0A>``. All
others, and the added tokens of every tokenizer, are taken literally.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["byte-level", "metaspace", "literal"]

METASPACE = "▁"
"""What stands for a space unless the tokenizer says otherwise."""

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_letters() -> tuple[str, ...]:
    # GPT-2: bytes that print stand for themselves, the others follow from U+0100 on in ascending order.
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in plain else next(hidden)) for byte in range(256))


BYTE_LETTERS = _byte_letters()
"""The character for each byte in byte-level tokens."""

_NOT_LATIN = "\uffff"
_TO_LATIN = {
    **dict.fromkeys(range(256), _NOT_LATIN),
    **{ord(x): chr(b) for b, x in enumerate(BYTE_LETTERS)},
}


@dataclass(frozen=True)
class Spelling:
    """How one tokenizer's own tokens (not its added tokens) spell bytes."""

    family: Family = "literal"
    space: str = METASPACE
    byte_pieces: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Spelling":
        """Decide from the pre-tokenizer, decoder and normalizer of a ``tokenizer.json``."""
        stages = [s for key in ("pre_tokenizer", "decoder", "normalizer") for s in _stages(document.get(key))]
        types = [stage.get("type") for stage in stages]
        model = document.get("model")
        fallback = "ByteFallback" in types or (isinstance(model, Mapping) and model.get("byte_fallback") is True)
        if "ByteLevel" in types:
            return cls("byte-level")
        if space := _space_mark(stages):
            return cls("metaspace", space, fallback)
        return cls("literal", byte_pieces=fallback)

    def to_bytes(self, text: str) -> bytes:
        """The bytes that the token spelled ``text`` stands for."""
        if self.family == "byte-level":
            try:
                return text.translate(_TO_LATIN).encode("latin-1")
            except UnicodeEncodeError:
                return text.encode()
        if self.byte_pieces and (match := _BYTE_PIECE.fullmatch(text)):
            return bytes.fromhex(match[1])
        if self.family == "metaspace":
            text = text.replace(self.space, " ")
        return text.encode()

    def to_text(self, data: bytes) -> str | None:
        """How this tokenizer would spell ``data``; None when it has no way to."""
        if self.family == "byte-level":
            return "".join(BYTE_LETTERS[byte] for byte in data)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return f"<0x{data[0]:02X}>" if self.byte_pieces and len(data) == 1 else None
        return text.replace(" ", self.space) if self.family == "metaspace" else text


def _stages(part: Any) -> Iterator[Mapping[str, Any]]:
    """A stage and, if it is a sequence, the stages in it (sequences do not nest deeper in practice)."""
    if isinstance(part, Mapping):
        yield part
        for key in ("pretokenizers", "decoders", "normalizers"):
            inner = part.get(key)
            yield from (s for s in (inner if isinstance(inner, list) else []) if isinstance(s, Mapping))


def _space_mark(stages: list[Mapping[str, Any]]) -> str | None:
    """The character that stands for a space, said by a Metaspace stage or by a replacement to or from a
    space.
    """
    for stage in stages:
        if stage.get("type") == "Metaspace":
            mark = stage.get("replacement", METASPACE)
            return mark if isinstance(mark, str) and mark else METASPACE
        if stage.get("type") == "Replace":
            pattern = stage.get("pattern")
            old = pattern.get("String") if isinstance(pattern, Mapping) else None
            if old == METASPACE or (old == " " and stage.get("content") == METASPACE):
                return METASPACE
    return None
