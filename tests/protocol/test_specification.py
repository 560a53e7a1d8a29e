"""Every requirement of the specification is cited by a test, and every citation is of a requirement that exists."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
CHAPTERS = sorted((TESTS.parent / "docs" / "protocol").glob("*.md"))
REQUIREMENT = re.compile(r"^- \*\*([A-Z0-9]+-[1-9][0-9]*)\*\* ", re.MULTILINE)


def requirements(chapter: Path) -> list[str]:
    return REQUIREMENT.findall(chapter.read_text(encoding="utf-8"))


def cited() -> set[str]:
    """The arguments of every ``pytest.mark.must`` below ``tests``."""
    found: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "must":
                found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found


def test_requirements_are_numbered_once_and_without_gaps() -> None:
    numbers = [name for chapter in CHAPTERS for name in requirements(chapter)]
    assert [name for name, times in Counter(numbers).items() if times > 1] == []
    for prefix in {name.split("-")[0] for name in numbers}:
        own = sorted(int(name.split("-")[1]) for name in numbers if name.startswith(f"{prefix}-"))
        assert own == list(range(1, len(own) + 1)), prefix


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_requirement_of_a_chapter_is_cited_by_a_test(chapter: Path) -> None:
    assert requirements(chapter), "a chapter without a requirement"
    assert set(requirements(chapter)) - cited() == set()


def test_every_citation_is_of_a_requirement() -> None:
    assert cited() - {name for chapter in CHAPTERS for name in requirements(chapter)} == set()


def test_the_table_of_contents_names_every_chapter() -> None:
    contents = (TESTS.parent / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")
    assert [c.name for c in CHAPTERS if f"(protocol/{c.name})" not in contents] == []
