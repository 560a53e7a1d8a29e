"""Patterns pick modules as peft does, and no pattern takes more than its share of time."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umm.checkpoint.expression import MAX_GROUP_DEPTH
from umm.checkpoint.module_patterns import (
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERNS,
    MAX_POSITIONS,
    MAX_SHAPES,
    ModulePatterns,
)
from umm.errors import CheckpointError

ATTENTION = "model.layers.3.self_attn.q_proj"


def picked(pattern: str, module: str) -> bool:
    return bool(ModulePatterns.parse({pattern: 1}, "rank_pattern").number_of(module, 0))


def picked_by_peft(pattern: str, module: str) -> bool:
    """The rule of peft: the pattern between an optional prefix with a dot and the end."""
    return re.match(rf"(.*\.)?({pattern})$", module) is not None or pattern == module


@pytest.mark.parametrize(
    "pattern",
    [
        "q_proj",
        "attn.q_proj",
        r"self_attn\.q_proj$",
        "^model.layers.3.self_attn.q_proj",
        "^layers.3.self_attn.q_proj",
        r"layers\.\d+\.self_attn\.q_proj",
        r"layers\.[0-3]\.self_attn\.[qk]_proj",
        r"layers\.[^3]\..*",
        "^model.layers.[1-5].*",
        r".*\.layers\.3\..*(q_proj|k_proj|v_proj|o_proj)$",
        r"(?:layers\.(?:1|2|3)\.)(self_attn|mlp).+?",
        "k_proj|^model.*q_proj$",
        r"\w+_proj",
        ".*",
        "",
        "()",
        "q_pro",
        "_proj",
        "model",
        "modelxlayers.3.self_attn.q_proj",
    ],
)
def test_patterns_people_write_mean_what_they_mean_to_peft(pattern: str) -> None:
    for module in (ATTENTION, ATTENTION.replace("3", "31"), "lm_head", "q_proj", "model.", "xmodel"):
        assert picked(pattern, module) is picked_by_peft(pattern, module), module


CHARACTERS = st.sampled_from(["a", "b", ".", r"\.", "[ab]", "[^a]", "[a-b.]", r"\w"])
PATTERNS = st.recursive(
    CHARACTERS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(CHARACTERS, st.sampled_from("*+?")).map("".join),
    ),
    max_leaves=6,
)
NAMES = ["".join(letters) for length in range(1, 6) for letters in product("ab.", repeat=length)]


@given(start=st.sampled_from(["", "^"]), pattern=PATTERNS, rest=st.sampled_from(["", "$", "|b", "|^ab$"]))
def test_any_pattern_of_the_accepted_kind_means_what_it_means_to_peft(start: str, pattern: str, rest: str) -> None:
    whole = f"{start}{pattern}{rest}"
    ours, theirs = ModulePatterns.parse({whole: 1}, "rank_pattern"), re.compile(rf"(.*\.)?({whole})$")
    assert [n for n in NAMES if ours.number_of(n, 0)] == [n for n in NAMES if theirs.match(n) or n == whole]


@given(st.lists(st.text("ab.", min_size=1, max_size=4) | PATTERNS, max_size=6, unique=True))
def test_the_first_pattern_that_matches_wins(patterns: list[str]) -> None:
    table = {pattern: i for i, pattern in enumerate(patterns)}
    ours = ModulePatterns.parse(table, "rank_pattern")
    for name in NAMES[::7]:
        matching = [i for pattern, i in table.items() if re.match(rf"(.*\.)?({pattern})$", name)]
        assert ours.number_of(name, -1) == (matching[0] if matching else table.get(name, -1))


def test_a_pattern_that_is_a_module_s_name_picks_it_even_if_it_does_not_match() -> None:
    assert picked("a+b", "a+b")
    assert not picked("a+b", "x.a+b")


@pytest.mark.parametrize(
    "pattern",
    [
        "(.|.)" * 90 + "X",
        "(a+)+b",
        "(a*)*" * 40 + "b",
        "((a|a)*|(aa)+)*b",
        ".*" * 200 + "b",
        "a?" * 100 + "a" * 100 + "b",
        "(" * MAX_GROUP_DEPTH + "a" + ")*" * MAX_GROUP_DEPTH + "b",
    ],
)
def test_patterns_that_python_would_match_for_ever_are_matched_at_once(pattern: str) -> None:
    assert not picked(pattern, "a" * 500)
    assert not picked(pattern, "a." * 500 + "c")


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "a)", "(a", "a)(b", "*", "a**", "a*+", "(*)", "|*", "^*", "a{3}", "a{", "]", "[", "[]", "[b-a]",
        "[[a]", "[a&&b]", "[^]", "\\", "a\\", r"\1", r"(a)\1", r"\bq", r"\Aq", r"q\Z", r"\x41", r"\N{DOT}",
        "(?=a)a", "(?!a)b", "(?<=a)b", "(?i)q", "(?i:q)", "(?P<x>q)", "(?>a)", "(?#a)", "(^a)", "a^b", "a$b",
        "a$$", "(a$)", "(" * (MAX_GROUP_DEPTH + 1) + "a" + ")" * (MAX_GROUP_DEPTH + 1), "(" * MAX_PATTERN_CHARACTERS,
    ],
)  # fmt: skip
def test_patterns_that_are_not_understood_are_refused_by_name(pattern: str) -> None:
    with pytest.raises(CheckpointError, match=r"rank_pattern has the pattern .* not understood at character") as error:
        picked(pattern, "a")
    assert repr(pattern)[:80] in str(error.value)


def test_a_rank_for_each_module_of_a_very_large_model_is_looked_up() -> None:
    names = [f"model.layers.{i}.mlp.experts.{k}.up_proj" for i in range(100) for k in range(MAX_PATTERNS // 100)]
    table = ModulePatterns.parse({name: i + 1 for i, name in enumerate(names)}, "rank_pattern")
    assert [table.number_of(name, 0) for name in names] == list(range(1, MAX_PATTERNS + 1))


@pytest.mark.parametrize(
    ("patterns", "named"),
    [
        ([str(i) for i in range(MAX_PATTERNS + 1)], str(MAX_PATTERNS)),
        (["q" * (MAX_PATTERN_CHARACTERS + 1)], "longer than 512"),
        ([f"{i:011b}".replace("0", ".") for i in range(MAX_SHAPES + 1)], "too many different"),
        ([f"(a){i:0500}" for i in range(MAX_POSITIONS // 500 + 1)], "too many different"),
    ],
)
def test_tables_that_would_take_long_are_refused(patterns: list[str], named: str) -> None:
    with pytest.raises(CheckpointError, match=f"^rank_pattern has .*{named}"):
        ModulePatterns.parse(dict.fromkeys(patterns, 1), "rank_pattern")
