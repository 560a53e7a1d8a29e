"""Round files: what they may say, what becomes of it, and what is refused."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.control.orders import Draft, Times
from node.drafts.document import MAX_FILE_BYTES, parse, read
from node.drafts.draft import draft_of
from node.drafts.preview import UNKNOWN, round_of
from node.drafts.sample import SAMPLE
from node.errors import NodeError, UserError
from protocol.identity import Key
from protocol.records import Kind, Round

NOW = 1_800_000_000.0
ME = Key.generate().public.point
OTHER = Key.generate().public.point
HOUR = 3600

ONE = "11" * 32
TWO = "22" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    (tmp_path / "recipe.yaml").write_text("merge_method: ties\nmodels: [{model: contributions}]\nbase_model: base\n")
    return tmp_path


def made(folder: Path, **values: Any) -> Draft:
    return draft_of({"title": "T", "base": "base"} | values, "round.toml", folder, ME, NOW)


def signed_as(draft: Draft) -> Round:
    return round_of(draft, ME, "{merge_method: ties}")


def test_a_title_and_a_base_are_enough(folder: Path) -> None:
    draft = made(folder)
    assert draft.base.folder == folder / "base"
    assert draft.stewards == (ME,)
    assert draft.kinds == ("adapter", "checkpoint", "delta")
    assert draft.recipe is None
    assert draft.seed is None
    opens = int(NOW)
    assert draft.times == Times(
        commit_opens=opens,
        commit_closes=opens + 24 * HOUR,
        reveal_closes=opens + 30 * HOUR,
        roster_closes=opens + 31 * HOUR,
        merge_closes=opens + 55 * HOUR,
    )
    record = signed_as(draft)
    assert record.base.root == UNKNOWN
    assert record.kinds == (Kind.ADAPTER, Kind.CHECKPOINT, Kind.DELTA)


def test_everything_that_can_be_said_ends_in_the_round(folder: Path) -> None:
    text = f"""
title = "Autumn"
description = "All of it."
recipe = "recipe.yaml"
tolerance = 0.001
seed = "{ONE}"
kinds = ["delta"]
stewards = ["{OTHER.hex()}", "me"]

[base]
root = "blake3:{ONE}"
manifest = "{TWO}"
locations = ["hf://owner/name@main", "https://example.org/base"]
result = "{TWO}"

[schedule]
opens = "10m"
commit = "1h 30m"
reveal = 2027-01-15T11:00:00+00:00
roster = "30min"
merge = "2027-01-15T20:00:00+01:00"

[admission]
keys = ["me"]
contributions_per_key = 2
contributions = 10
bytes_each = "2GB"
bytes_total = "10GiB"
max_norm = 12.50
licences = ["mit", "apache-2.0"]
domains = ["math", "code"]
"""
    draft = draft_of(parse(text.encode(), "round.toml"), "round.toml", folder, ME, NOW)
    record = signed_as(draft)
    opens = int(NOW) + 600
    assert record.title == "Autumn"
    assert record.description == "All of it."
    assert record.tolerance == "0.001"
    assert record.seed.hex() == ONE
    assert record.kinds == (Kind.DELTA,)
    assert record.stewards == tuple(sorted((ME, OTHER)))
    assert (record.base.root.hex(), record.base.manifest, record.base.result) == (
        ONE,
        bytes.fromhex(TWO),
        bytes.fromhex(TWO),
    )
    assert record.base.locations == ("hf://owner/name@main", "https://example.org/base")
    assert list(record.schedule.plain().values()) == [
        opens, opens + 5400, 1_800_010_800, 1_800_010_800 + 1800, 1_800_039_600,
    ]  # fmt: skip
    assert record.admission.plain() == {
        "keys": [ME.hex()], "contributions_per_key": 2, "contributions": 10, "bytes_each": 2 * 10**9,
        "bytes_total": 10 * 2**30, "max_norm": "12.5", "licences": ["apache-2.0", "mit"], "domains": ["code", "math"],
    }  # fmt: skip


def test_yaml_says_the_same_as_toml(folder: Path) -> None:
    toml = 'title = "T"\nbase = "base"\nstewards = ["me"]\n[schedule]\ncommit = "2h"\nmerge = "2027-02-01T00:00:00Z"\n'
    yaml = "title: T\nbase: base\nstewards: [me]\nschedule:\n  commit: 2h\n  merge: 2027-02-01T00:00:00Z\n"
    found = [
        draft_of(parse(text.encode(), name), name, folder, ME, NOW)
        for text, name in ((toml, "a.toml"), (yaml, "a.yaml"))
    ]
    assert found[0] == found[1]


def test_a_recipe_is_a_file_a_text_or_a_table(folder: Path) -> None:
    written = (folder / "recipe.yaml").read_text()
    assert made(folder, recipe="recipe.yaml").recipe == written
    assert made(folder, recipe=str(folder / "recipe.yaml")).recipe == written
    assert made(folder, recipe=written).recipe == written.strip()
    assert made(folder, recipe={"merge_method": "ties"}).recipe == '{\n "merge_method": "ties"\n}'


def test_a_long_recipe_becomes_a_blob(folder: Path) -> None:
    assert signed_as(made(folder)).recipe.text == "{merge_method: ties}"
    long = round_of(made(folder), ME, "# " + "x" * 7000).recipe
    assert long.text is None
    assert long.blob == long.digest


def test_the_sample_is_a_round_with_every_line_and_without(folder: Path) -> None:
    draft = draft_of(parse(SAMPLE.encode(), "sample.toml"), "sample.toml", folder, ME, NOW)
    assert draft == made(folder, title=draft.title)
    lines = [re.sub(r"^# (?=[a-z_]+ = )", "", line) for line in SAMPLE.splitlines()]
    full = "\n".join(line for line in lines if "{ root" not in line).replace("64 digits", ONE)
    everything = draft_of(parse(full.encode(), "sample.toml"), "sample.toml", folder, ME, NOW)
    assert everything.times == draft.times
    assert everything.terms.contributions == draft.terms.contributions
    assert everything.kinds == draft.kinds
    assert signed_as(everything)


# -- what is refused -------------------------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"titel": "x"}, "there is no setting 'titel'; did you mean title?"),
    ({"schedule": {"comit": "2h"}}, "there is no setting schedule.'comit'; did you mean schedule.commit?"),
    ({"admission": {"size": 1}}, "there is no setting admission.'size'; there are: keys,"),
    ({"title": ""}, "title is text, not ''"),
    ({"title": 3}, "title is text, not 3"),
    ({"title": "x" * 121}, "such a round cannot be: round.title has 121 characters"),
    ({"title": "a\x1b[2Jb"}, "holds a control character"),
    ({"base": None}, "the round has no base"),
    ({"base": 7}, "base is not a table of settings"),
    ({"base": "nowhere"}, "which is not a model: there is no config.json in it"),
    ({"base": {}}, "either a folder or a root"),
    ({"base": {"root": ONE}}, "the base is nowhere"),
    ({"base": {"root": "1234", "locations": ["hf://a/b@c"]}}, "base.root is 64 hexadecimal digits, not '1234'"),
    ({"base": {"root": ONE, "locations": ["http://a/b"]}}, "such a round cannot be: base.locations[0]"),
    ({"base": {"folder": "base", "root": ONE}}, "either a folder or a root"),
    ({"recipe": "gone.yaml"}, "which cannot be read: No such file"),
    ({"recipe": "base"}, "which cannot be read: Is a directory"),
    ({"recipe": 5}, "recipe is text, not 5"),
    ({"recipe": {"x": float("nan")}}, "recipe holds a time or a number that a recipe cannot have"),
    ({"tolerance": "small"}, "tolerance is a decimal number such as 12.5, not 'small'"),
    ({"tolerance": float("inf")}, "tolerance is a decimal number"),
    ({"tolerance": -1}, "such a round cannot be: round.tolerance is -1; it cannot be negative"),
    ({"tolerance": True}, "tolerance is a decimal number"),
    ({"seed": "12"}, "seed is 64 hexadecimal digits"),
    ({"kinds": ["deltas"]}, "'deltas' is no kind of contribution"),
    ({"kinds": ["delta", "delta"]}, "kinds names 'delta' twice"),
    ({"kinds": ["distributions"]}, "a round has prompts if and only if it accepts distributions"),
    ({"kinds": {"a": 1}}, "kinds is a list of texts"),
    ({"stewards": ["brave-otter-41"]}, "stewards names 'brave-otter-41', which is no key"),
    ({"stewards": ["02" * 32]}, "which is no key: 66 digits"),
    ({"stewards": ["02" + "ff" * 32]}, "is not a point of the curve"),
    ({"stewards": ["me"] * 2}, "stewards names 'me' twice"),
    ({"stewards": [3]}, "stewards is a list of texts"),
    ({"schedule": "soon"}, "schedule is not a table of settings"),
    ({"schedule": {"opens": "yesterday"}}, "schedule.opens is a duration such as 2h or 1d 12h"),
    ({"schedule": {"commit": "2 fortnights"}}, "schedule.commit is a duration"),
    ({"schedule": {"commit": "0s"}}, "schedule.commit would end before opens does"),
    ({"schedule": {"commit": "400d"}}, "a round takes at most 366 days"),
    ({"schedule": {"commit": "300d", "merge": "300d"}}, "the schedule takes more than"),
    ({"schedule": {"commit": "2027-01-15T11:00:00"}}, "schedule.commit lacks the zone: write 2027-01-15T11:00:00Z"),
    ({"schedule": {"commit": "2027-01-15"}}, "schedule.commit is a duration such as 2h"),
    ({"schedule": {"opens": "2020-01-01T00:00:00Z", "commit": "1h"}}, "commit is over already"),
    ({"schedule": {"opens": "1950-01-01T00:00:00Z"}}, "is before 1970"),
    ({"schedule": {"commit": 7200}}, "schedule.commit is a duration such as 2h or 1d 12h, or a time"),
    ({"schedule": {"reveal": "3s"}}, "leaves nobody time to reveal"),
    ({"admission": {"bytes_each": "much"}}, "admission.bytes_each is a number or a size such as"),
    ({"admission": {"bytes_each": True}}, "admission.bytes_each is a number or a size such as"),
    ({"admission": {"bytes_each": 0}}, "admission.bytes_each is 0; 1 to"),
    ({"admission": {"contributions": 0}}, "admission.contributions is 0; 1 to"),
    ({"admission": {"contributions": "many"}}, "admission.contributions is a whole number, not 'many'"),
    ({"admission": {"contributions": 16**5000}}, "admission.contributions is a whole number, not a number too long"),
    ({"admission": {"bytes_total": 16**5000}}, "admission.bytes_total is 0 to"),
    ({"admission": {"max_norm": 16**5000}}, "admission.max_norm is a decimal number such as 12.5, not a number too"),
    ({"title": 16**5000}, "title is text, not a number too long"),
    ({"admission": {"domains": ["Maths!"]}}, "admission.domains[0] is 'Maths!'"),
    ({"admission": {"max_norm": "1e9"}}, "admission.max_norm is a decimal number"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_what_cannot_be_is_refused_with_what_and_where(folder: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        signed_as(made(folder, **values))
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


HOSTILE: list[tuple[str, bytes, str]] = [
    ("a.toml", b"title = ", "a.toml is not TOML"),
    ("a.toml", b"title = 'x'\ntitle = 'y'", "a.toml is not TOML: Cannot overwrite a value"),
    ("a.toml", b"x = " + b"[" * 4000, "nested too deeply"),
    ("a.toml", b"x = " + b"{a=" * 1000, "nested too deeply"),
    ("a.toml", b"x = " + b"9" * 4500, "a.toml, line 1: 4504 characters; put a recipe as long into a file"),
    ("a.toml", b"title" + b".a" * 2000 + b" = 1", "nested too deeply"),
    ("a.toml", b"x = " + b"[" * 40 + b"]" * 40, "nested too deeply"),
    ("a.toml", b"\xff\xfe", "a.toml is not UTF-8 text"),
    ("a.toml", b"#" * (MAX_FILE_BYTES + 1), "cannot be a round file"),
    ("a.yaml", b"", "holds 0 documents"),
    ("a.yaml", b"--- {}\n--- {}", "holds 2 documents"),
    ("a.yaml", b"- a\n- b", "is not a mapping"),
    ("a.yaml", b"title: [", "line 1: not valid YAML"),
    ("a.yaml", b"title: a\ntitle: b", "line 2: title: the key is already set on line 1"),
    ("a.yaml", b"title: !!python/object/apply:os.system [id]", "is not plain data"),
    ("a.yaml", b"a: &a [x]\n" + b"\n".join(b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]" % ((98 + i, 98 + i) + (97 + i,) * 8) for i in range(8)), "more than 50000 values"),  # noqa: E501
    ("a.yaml", b"a: &a [*a]", "contains itself"),
    ("a.yaml", b"x: " + b"[" * 30_000, "nested deeper than"),
    ("a.yaml", b"1: x", "is not text"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "said"), HOSTILE)
def test_a_hostile_file_is_refused(name: str, data: bytes, said: str) -> None:
    with pytest.raises(UserError) as refused:
        parse(data, name)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_or_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read(tmp_path / "round.toml")
    with pytest.raises(UserError, match=r"another ending than a round file has: \.toml, \.yaml, \.yml"):
        read(tmp_path / "round.json")
    (tmp_path / "big.toml").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(UserError, match="cannot be a round file"):
        read(tmp_path / "big.toml")


words = st.sampled_from(["", "x", "2h", ONE, "me", "\x1b[2J", "base", "mit", "2027-01-15T08:00:00Z", "-1", "9" * 30])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | words
known = [
    "title", "base", "recipe", "tolerance", "seed", "kinds", "stewards", "schedule", "admission", "description",
    "opens", "commit", "merge", "keys", "bytes_each", "max_norm", "contributions", "root", "folder",
]  # fmt: skip
tables = st.dictionaries(st.sampled_from(known), leaves | st.lists(leaves, max_size=2), max_size=3)


@given(st.dictionaries(st.sampled_from(known[:10]), leaves | st.lists(leaves, max_size=2) | tables, max_size=4))
def test_whatever_a_file_says_it_is_a_round_or_refused(values: dict[str, Any]) -> None:
    given_base = {"title": "T", "base": {"root": ONE, "manifest": TWO}}
    with suppress(NodeError):
        record = signed_as(draft_of(given_base | values, "round.toml", Path("/nowhere"), ME, NOW))
        assert Round.parse(record.payload_type, record.payload()) == record
