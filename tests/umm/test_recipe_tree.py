"""YAML text as a tree: plain data, lines, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umm.errors import RecipeError
from umm.recipe import tree
from umm.recipe.document import load
from umm.recipe.tree import Node, Pair, compose


def plain(node: Node) -> object:
    """The tree without its lines."""
    if isinstance(node.value, tuple):
        return [plain(n) for n in node.value]
    if isinstance(node.value, dict):
        return {key: plain(pair.node) for key, pair in node.value.items()}
    return node.value


def one(text: str) -> object:
    (node,) = compose(text, "f")
    return plain(node)


def test_scalars_are_read_as_yaml_1_1_says() -> None:
    text = "a: [1, 0x10, 1.5, 1e3, 1.0e+3, yes, off, null, ~, '1', \"2\", 2024-01-01, =]"
    expected = [1, 16, 1.5, "1e3", 1000.0, True, False, None, None, "1", "2", "2024-01-01", "="]
    assert one(text) == {"a": expected}


def test_core_tags_are_obeyed() -> None:
    assert one("[!!str 1, !!int '2', !!float 3, ! 4, !!seq [], !!map {}]") == ["1", 2, 3.0, "4", [], {}]


def test_values_and_keys_know_their_lines() -> None:
    (node,) = compose("# comment\n\na:\n  - 1\n  - x: 2\n", "f")
    assert isinstance(node.value, dict)
    pair = node.value["a"]
    assert isinstance(pair, Pair)
    assert isinstance(pair.node.value, tuple)
    assert (node.line, pair.line, [n.line for n in pair.node.value]) == (3, 3, [4, 5])


def test_merge_keys_give_way_to_keys_written_out_and_to_earlier_merges() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}\nd: {<<: *b}"
    merged = one(text)
    assert isinstance(merged, dict)
    assert merged["c"] == {"x": 1, "y": 1, "z": 3}
    assert merged["d"] == {"y": 2, "z": 2}


def test_empty_documents_are_left_out() -> None:
    assert [plain(n) for n in compose("---\n---\na: 1\n---\n", "f")] == [{"a": 1}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<<: 5", "only mappings can be merged"),
        ("<<: [5]", "only mappings can be merged"),
        ("{<<: {a: 1}, true: 1}", "the key true is not text"),
        ("? [a]\n: 1", "the key a list is not text"),
        ("a: !!python/name:os.system x", "is not plain data"),
        ("a: !local {}", "is not plain data"),
        ("a: !!int 1.5", "1.5 is not a int"),
        ("a: !!bool 1", "1 is not a bool"),
        ("a: 0b_", "0b_ is not a int"),
        ("a: !!float x", "x is not a float"),
        ("a: " + "9" * 5000, "a number of more than 400 digits"),
        ("a: 1.0e+999", "not a finite number"),
        ('a: "\\ud800"', "half a surrogate pair"),
        ("a: \ud800", "not valid Unicode"),
        ("a:\n  b: \x07", "character U+0007 may not appear"),
        ("a: *x", "alias *x has no anchor"),
        ("a: &x 1\n---\nb: *x", "alias *x has no anchor"),
        ("a: &x [*x]", "alias *x contains itself"),
        ("a: 1\na: 2", "a: the key is already set on line 1"),
        ("a: 'x", "not valid YAML"),
        ("%YAML 9.1\n---\na: 1", "not valid YAML"),
    ],
)
def test_what_is_not_plain_data_is_refused(text: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=r"^f, line \d+: ") as refusal:
        compose(text, "f")
    assert problem in str(refusal.value)


def test_a_refused_character_is_named_with_its_line() -> None:
    with pytest.raises(RecipeError, match=r"^f, line 3: character U\+0007"):
        compose("a: 1\nb: 2\nc: \x07", "f")


def test_a_file_over_the_size_limit_is_refused_unread() -> None:
    with pytest.raises(RecipeError, match="a recipe may have 1048576"):
        compose("é" * (tree.MAX_BYTES // 2 + 1), "f")


def test_a_document_over_the_node_limit_is_refused() -> None:
    with pytest.raises(RecipeError, match="more than 50000 values"):
        compose("[" + "1," * tree.MAX_NODES + "]", "f")


def test_more_documents_than_allowed_are_refused() -> None:
    with pytest.raises(RecipeError, match="more than 64 documents"):
        compose("---\na: 1\n" * (tree.MAX_DOCUMENTS + 1), "f")


def test_the_deepest_allowed_nesting_is_read_and_one_more_refused() -> None:
    depth = tree.MAX_DEPTH
    assert compose("[" * depth + "]" * depth, "f")
    with pytest.raises(RecipeError, match="nested deeper"):
        compose("[" * (depth + 1) + "]" * (depth + 1), "f")


def test_the_depth_behind_an_alias_counts() -> None:
    half = tree.MAX_DEPTH // 2 - 1  # one level is the mapping's
    nested = "a: &a " + "[" * half + "]" * half + "\nb: " + "[" * half + "*a" + "]" * half
    assert compose(nested, "f")
    with pytest.raises(RecipeError, match="nested deeper"):
        compose(nested.replace("b: [", "b: [[[").replace("*a]", "*a]]]"), "f")


FRAGMENTS = st.sampled_from(
    [
        *(
            "merge_method: ",
            "linear",
            "ties",
            "models:",
            "slices:",
            "- model: ",
            "parameters:",
            "weight: ",
            "t: ",
        ),
        *(
            "base_model: ",
            "tokenizer: ",
            "tokens:",
            "source: ",
            "kind: ",
            "zero",
            "layer_range: ",
            "[0, 2]",
            "1e5",
        ),
        *(
            "sources:",
            "value: ",
            "filter: ",
            "&a ",
            "*a",
            "<<: ",
            "\n",
            "\n  ",
            "\n    ",
            "- ",
            ": ",
            "{",
            "}",
            "[",
            "]",
        ),
        *(
            ",",
            "'",
            '"',
            "|",
            "!!int ",
            "!!python/x ",
            "---\n",
            "...",
            "%",
            "#",
            "0.5",
            "-1",
            ".nan",
            "null",
            "~",
        ),
        *(
            "./a",
            "a+b",
            "a@b",
            "\t",
            "\x00",
            "\u2028",
            "\ud800",
            "é",
            "layers: ",
            "other: ",
            "modules:",
            "name: ",
        ),
    ]
)


@given(st.one_of(st.text(), st.lists(FRAGMENTS, max_size=40).map("".join)))
def test_arbitrary_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        assert load(text)
    except RecipeError as error:
        assert str(error).startswith("recipe, line ")  # noqa: PT017 - acceptance is fine, too


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(width=16) | st.text("ab./@+<", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["model", "parameters", "weight", "value", "filter", "layers", "source", "kind"]),
            inner,
        )
    ),
    max_leaves=6,
)


@given(
    st.sampled_from(["linear", "slerp", "ties", "karcher", "passthrough", "nuslerp"]),
    st.sampled_from(["models", "slices", "modules"]),
    YAML_VALUES,
    st.sampled_from(["base_model", "parameters", "tokenizer", "dtype", "seed", "chat_template", "name"]),
    YAML_VALUES,
)
def test_any_value_anywhere_is_read_or_refused(method: str, form: str, body: object, key: str, value: object) -> None:
    text = f"merge_method: {method}\n{form}: {_flow(body)}\n{key}: {_flow(value)}\n"
    try:
        assert load(text)
    except RecipeError as error:
        assert str(error).startswith("recipe, line ")  # noqa: PT017 - acceptance is fine, too


def _flow(value: object) -> str:
    """YAML in flow style; floats as Python spells them, so NaN and infinity take part as text."""
    if isinstance(value, list):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        return f"'{value}'"
    return "null" if value is None else str(value).lower()
