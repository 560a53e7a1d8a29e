"""docs/METHODS.md against the registry: every method, every parameter and default, and nothing else."""

import re
from pathlib import Path

import pytest

from umm.methods import METHODS, Parameter

PAGE = (Path(__file__).parents[2] / "docs" / "METHODS.md").read_text()
HEADING = re.compile(r"^## (.+) \(`(\w+)`\)$", re.MULTILINE)


def sections() -> dict[str, str]:
    """The text of each method's entry."""
    marks = list(HEADING.finditer(PAGE))
    ends = [m.start() for m in marks[1:]] + [len(PAGE)]
    return {m[2]: PAGE[m.end() : end] for m, end in zip(marks, ends, strict=True)}


def told(section: str, lead: str) -> dict[str, str]:
    """The parameters that the list item ``lead`` names, with what it says about each."""
    found = re.search(rf"^- {lead}: ((?:.|\n  )*)", section, re.MULTILINE)
    said = re.sub(r"\s+", " ", found[1]) if found else ""
    return dict(re.findall(r"`(\w+)` (?:= |\()([\w.+-]+)", said))


def spelled(parameter: Parameter) -> str:
    """A default as the page writes it."""
    if parameter.required:
        return "required"
    if isinstance(parameter.default, bool):
        return str(parameter.default).lower()
    return "none" if parameter.default is None else f"{parameter.default:g}"


def test_every_method_has_one_entry_and_no_other_does() -> None:
    names = [m[2] for m in HEADING.finditer(PAGE)]
    assert sorted(names) == sorted(METHODS)
    assert {m[2]: m[1] for m in HEADING.finditer(PAGE)} == {m.name: m.title for m in METHODS.values()}


@pytest.mark.parametrize("name", METHODS)
def test_an_entry_names_every_parameter_and_default_and_the_source(name: str) -> None:
    section, method = sections()[name], METHODS[name]
    for scope, lead in (("expert", "per model"), ("merge", "for the merge")):
        expected = {p.name: spelled(p) for p in method.parameters if p.scope == scope}
        assert told(section, lead) == expected
    assert f"- source: {method.source}\n" in section


@pytest.mark.parametrize("name", METHODS)
def test_what_a_parameter_does_is_said_in_the_entry_or_among_the_shared_ones(name: str) -> None:
    shared = PAGE.split("**Shared parameters.**")[1].split("**Election")[0]
    prose = re.sub(r"^- (source|per model|for the merge): (.|\n  )*", "", sections()[name], flags=re.MULTILINE)
    for parameter in METHODS[name].parameters:
        assert re.search(rf"\b{parameter.name}\b", prose) or f"`{parameter.name}`" in shared, parameter.name


def test_the_page_says_that_all_methods_are_exact_as_long_as_they_are() -> None:
    assert "All methods here are exact" in PAGE
    assert all(m.exact for m in METHODS.values())


def test_the_contents_link_to_headings_that_exist() -> None:
    def anchor(heading: str) -> str:
        return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")

    headings = {anchor(h) for h in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links == headings - {anchor("Merge methods")}
