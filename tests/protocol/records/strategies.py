"""Records of any kind and content, made from what their fields declare."""

from typing import Any

from hypothesis import strategies as st

from protocol.errors import MalformedError
from protocol.records import Recipe, Record, Schedule
from protocol.records.fields import Fields, Part
from protocol.records.forms import (
    LICENCE,
    LOCATION,
    WORD,
    Choice,
    DecimalForm,
    Form,
    Hex,
    Integer,
    Many,
    PointForm,
    Text,
)
from protocol.strict import CONTROL_CHARACTER
from tests.protocol.keys import key

POINTS = st.integers(1, 40).map(lambda number: key(number).public.point)
LOCATIONS = st.sampled_from(["https://example.org/a%20b/", "https://[::1]:8080/", "hf://umm/base@main", "https://h"])
WORDS = st.sampled_from(["mathematics", "code", "a-1", "0"])
LICENCES = st.sampled_from(["Apache-2.0", "MIT", "CC-BY-4.0", "GPL-2.0-or-later+"])
PRINTABLE = st.characters(codec="utf-8").filter(lambda c: not CONTROL_CHARACTER.search(c))


def values(form: Form) -> st.SearchStrategy[Any]:
    """Anything that a field of this form may hold."""
    match form:
        case PointForm():
            return POINTS
        case Hex():
            return st.binary(min_size=form.low, max_size=form.high)
        case Text():
            return _texts(form)
        case DecimalForm():
            return _decimals(form)
        case Integer():
            return st.integers(form.low, form.high)
        case Choice():
            return st.sampled_from(list(form.words))
        case Many():
            return _lists(form)
        case Part():
            return groups(form.group)
    raise AssertionError(form)


def groups(group: type[Fields]) -> st.SearchStrategy[Any]:
    """Anything that a group may hold; combinations that it refuses are drawn anew."""
    if group is Schedule:
        gaps = st.lists(st.integers(7, 1_000_000), min_size=5, max_size=5)
        return gaps.map(lambda g: Schedule(**{n: sum(g[: i + 1]) for i, n in enumerate(Schedule.slots())}))
    if group is Recipe:
        text = st.text(PRINTABLE, min_size=1, max_size=9).map(lambda t: Recipe(text=f"{{{t}}}"))
        return text | st.binary(min_size=32, max_size=32).map(lambda b: Recipe(blob=b))
    drawn = {
        n: values(s.form) | st.just(s.default) if s.may_be_absent else values(s.form) for n, s in group.slots().items()
    }
    return st.fixed_dictionaries(drawn).map(lambda d: _built(group, d)).filter(lambda made: made is not None)


def records(kind: type[Record]) -> st.SearchStrategy[Record]:
    """Any record of a kind."""
    return groups(kind)


def _built(group: type[Fields], fields: dict[str, Any]) -> Fields | None:
    try:
        return group(**fields)
    except MalformedError:
        return None


def _texts(form: Text) -> st.SearchStrategy[str]:
    known = {id(LOCATION): LOCATIONS, id(WORD): WORDS, id(LICENCE): LICENCES}
    some = st.text(PRINTABLE, min_size=1, max_size=min(form.high, 20)).filter(lambda text: text == text.strip(" "))
    return known.get(id(form), some)


def _decimals(form: DecimalForm) -> st.SearchStrategy[str]:
    sign = st.sampled_from(["", "-"] if form.negative else [""])
    whole = st.integers(0, 10**18 - 1).map(str)
    part = st.integers(1, 10**18 - 1).map(lambda n: f".{n:018d}".rstrip("0")) | st.just("")
    return st.tuples(sign, whole, part).map("".join).filter(lambda text: text != "-0")


def _lists(form: Many) -> st.SearchStrategy[tuple[Any, ...]]:
    drawn = st.lists(values(form.item), min_size=form.low, max_size=min(form.high, 4), unique=form.ascending)
    return drawn.map(lambda items: tuple(sorted(items) if form.ascending else items))
