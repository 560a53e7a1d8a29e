"""What a model signature says."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import MalformedError, TooLargeError
from protocol.modelsigning.statement import MAX_FILES, MAX_NAME_BYTES, Resource, Statement, check_name, listed
from protocol.strict import CONTROL_CHARACTER

COMPONENTS = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="/\\"), min_size=1, max_size=8
).filter(lambda part: part not in (".", "..") and not CONTROL_CHARACTER.search(part))
NAMES = st.lists(COMPONENTS, min_size=1, max_size=4).map("/".join)
DIGESTS = st.binary(min_size=32, max_size=32)


@settings(deadline=None)
@given(model=COMPONENTS, files=st.dictionaries(NAMES, DIGESTS, min_size=1, max_size=8), ignored=st.just((".git",)))
def test_a_statement_survives_being_written_and_read(
    model: str, files: dict[str, bytes], ignored: tuple[str, ...]
) -> None:
    statement = Statement.of(model, files.items(), ignored)
    assert Statement.parse(statement.payload()) == statement


@pytest.mark.must("OMS-10")
def test_files_are_listed_by_code_point() -> None:
    names = ["b", "a/b", "a.txt", "B", "é", "\U0001d11e", "\uffee"]
    statement = Statement.of("m", [(name, bytes(32)) for name in names], ())
    assert [r.name for r in statement.resources] == ["B", "a.txt", "a/b", "b", "é", "\uffee", "\U0001d11e"]


@pytest.mark.must("OMS-10")
def test_the_order_of_the_stock_tool_is_read_too() -> None:
    stock = (Resource("a/b", bytes(32)), Resource("a.txt", b"\1" * 32))
    assert Statement.parse(Statement("m", stock).payload()).resources == stock


def test_an_order_that_is_neither_is_refused() -> None:
    with pytest.raises(MalformedError, match="in order"):
        Statement("m", tuple(Resource(name, bytes(32)) for name in ("a/b", "a.txt", "Z")))


@pytest.mark.must("OMS-8")
def test_the_root_is_the_digest_of_the_digests_in_order() -> None:
    statement = Statement.of("m", [("b", b"\1" * 32), ("a", b"\2" * 32)], ())
    assert statement.root == hashlib.sha256(b"\2" * 32 + b"\1" * 32).digest()
    assert json.loads(statement.payload())["subject"] == [{"digest": {"sha256": statement.root.hex()}, "name": "m"}]


@pytest.mark.must("OMS-12")
def test_unknown_members_of_resources_and_subject_are_ignored() -> None:
    statement = Statement.of("m", [("a", bytes(32))], ())
    found = json.loads(statement.payload())
    found["subject"][0]["annotations"] = {"x": [1]}
    found["predicate"]["resources"][0] |= {"mediaType": "text/plain", "uri": "https://example.org/a"}
    assert Statement.parse(json.dumps(found).encode()) == statement


def test_a_statement_without_ignored_paths_is_read() -> None:
    found = json.loads(Statement.of("m", [("a", bytes(32))], ()).payload())
    del found["predicate"]["serialization"]["ignore_paths"]
    assert Statement.parse(json.dumps(found).encode()).ignored == ()


@pytest.mark.must("OMS-10")
def test_a_statement_holds_as_many_files_as_allowed_and_no_more() -> None:
    resources = tuple(Resource(f"{i:05}", bytes(32)) for i in range(MAX_FILES + 1))
    largest = Statement("m", resources[:-1])
    assert Statement.parse(largest.payload()) == largest
    with pytest.raises(TooLargeError, match=str(MAX_FILES + 1)):
        Statement("m", resources)


@pytest.mark.must("OMS-11")
@pytest.mark.parametrize("name", ["a", "a b", ".hidden", "...", "a/..b", "é", "C:", "x" * MAX_NAME_BYTES])
def test_an_ordinary_name_is_accepted(name: str) -> None:
    check_name(name, "a name")


@pytest.mark.must("OMS-11")
@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a//b", "a/", ".", "..", "a/./b", "../a", "a\\b", "a\nb", "\u202ea", "\udc80"]
)
def test_a_name_that_is_no_plain_path_is_refused(name: str) -> None:
    with pytest.raises(MalformedError):
        check_name(name, "a name")


def test_an_empty_statement_cannot_be_built() -> None:
    with pytest.raises(MalformedError, match="no file"):
        Statement("m", ())


def test_a_digest_of_another_length_cannot_be_built() -> None:
    with pytest.raises(MalformedError, match="31 bytes"):
        Resource("a", bytes(31))


def test_a_long_list_of_names_is_cut_in_messages() -> None:
    assert listed([str(i) for i in range(10)]).endswith("'7' and 2 more")
    assert listed(["\x1b[2J"]) == "'\\x1b[2J'"
