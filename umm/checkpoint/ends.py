"""The two ends of a model, told by the names of their modules: embeddings before the layers, heads after them."""

EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings", "tok_embeddings", "embeddings", "shared")
"""Input embeddings: Llama and most; GPT-2, MPT; GPT-NeoX; BLOOM; InternLM2; Mamba; T5."""

POSITIONS = ("wpe", "embed_positions", "position_embeddings")
"""Embeddings of positions, which have nothing to do with the vocabulary: GPT-2; OPT; BERT."""

HEADS = ("lm_head", "embed_out", "output")
"""Output heads: most models; GPT-NeoX; InternLM2."""

EMBEDDING = "embed"
"""A part of a module's name that says that it stands before the layers, as in ``embed_norm``, unless it is a head."""


def is_embedding(name: str) -> bool:
    """Whether a tensor is the weight of an input embedding."""
    return _module(name) in EMBEDDINGS and name.endswith(".weight")


def is_head(name: str) -> bool:
    """Whether a tensor is the weight or the bias of an output head."""
    return _module(name) in HEADS and name.endswith((".weight", ".bias"))


def stands_before(name: str) -> bool:
    """Whether a tensor outside of layers stands before the first of them: embeddings and what belongs to these."""
    parts = name.split(".")
    if any(part in HEADS for part in parts):
        return False
    return any(part in EMBEDDINGS or part in POSITIONS or EMBEDDING in part for part in parts)


def _module(name: str) -> str:
    return name.split(".")[-2] if "." in name else ""
