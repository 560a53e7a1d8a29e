"""What a tensor does in its model, told from its name alone."""

import re
from enum import Enum

from umm.checkpoint.ends import EMBEDDINGS, HEADS, POSITIONS


class Kind(Enum):
    """A role that tensors of every transformer share; the value is what reports call it."""

    QUERY = "attn.q"
    KEY = "attn.k"
    VALUE = "attn.v"
    FUSED = "attn.qkv"  # one matrix for query, key and value, or a latent that feeds them
    OUTPUT = "attn.o"
    GATE = "mlp.gate"
    UP = "mlp.up"
    DOWN = "mlp.down"
    NORM = "norm"
    EMBEDDING = "embedding"
    HEAD = "head"
    OTHER = "other"


_WORDS: dict[Kind, str] = {
    Kind.QUERY: "q_proj q q_lin wq query q_a_proj q_b_proj",
    Kind.KEY: "k_proj k k_lin wk key",
    Kind.VALUE: "v_proj v v_lin wv value",
    Kind.FUSED: "qkv_proj query_key_value c_attn wqkv qkv Wqkv kv_a_proj_with_mqa kv_b_proj in_proj",
    Kind.OUTPUT: "o_proj o out_lin",
    Kind.GATE: "gate_proj w1 wi_0",
    Kind.UP: "up_proj gate_up_proj fc1 dense_h_to_4h c_fc w3 wi wi_1 fc_in",
    Kind.DOWN: "down_proj fc2 dense_4h_to_h w2 fc_out",
    Kind.EMBEDDING: " ".join(EMBEDDINGS + POSITIONS),
}
_BY_WORD = {word: kind for kind, words in _WORDS.items() for word in words.split()}
# Names that mean the way out of the attention in one block and the way out of the MLP in the other.
_WAY_OUT = {"dense", "c_proj", "out_proj", "wo"}
_MLP = re.compile(r"mlp|ffn|feed_forward|densereludense|experts", re.IGNORECASE)
_NORM = re.compile(r"norm|^ln(_|\d|$)", re.IGNORECASE)
_ENDINGS = {"weight", "bias", "default"}


def kind_of(name: str) -> Kind:
    """The kind of the tensor ``name``; a bias has the kind of its matrix, an unknown name is ``OTHER``.

    >>> kind_of("model.layers.3.self_attn.q_proj.weight").value
    'attn.q'
    """
    parts = [part for part in name.split(".") if part not in _ENDINGS]
    if not parts:
        return Kind.OTHER
    leaf, parents = parts[-1], ".".join(parts[:-1])
    if _NORM.search(leaf):
        return Kind.NORM
    if leaf in _WAY_OUT:
        return Kind.DOWN if _MLP.search(parents) else Kind.OUTPUT
    if leaf in HEADS and (leaf != "output" or not parents):
        return Kind.HEAD
    return _BY_WORD.get(leaf, Kind.OTHER)
