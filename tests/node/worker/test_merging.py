"""What a merge in a child process refuses, told in this one."""

from pathlib import Path

import pytest

from node.worker.jobs import Merge
from node.worker.merging import merge
from tests.umm.checkpoints import plain, recipe
from umm.errors import RecipeError

MEMORY = 4 * 10**9


def nobody(*_: object) -> None:
    """Does not listen."""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (recipe("ties", base="/nowhere"), "no model folder at /nowhere"),
        ("\n---\n".join(recipe("linear", name=name) for name in "xy"), "a job merges one document, found 2"),
        ("", "the file holds no recipe"),
    ],
    ids=["no model", "two documents", "nothing"],
)
def test_a_recipe_that_cannot_be_merged_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        merge(Merge(recipe=text, out=tmp_path / "out"), MEMORY, nobody)
    assert not (tmp_path / "out").exists()


def test_a_tensor_that_the_merge_does_not_make_is_refused(tmp_path: Path) -> None:
    for name in ("base", "a"):
        plain(tmp_path / name, name)
    text = recipe("ties", base=str(tmp_path / "base"), experts=(str(tmp_path / "a"),))
    with pytest.raises(RecipeError, match="the merge makes no tensor evil"):
        merge(Merge(recipe=text, only=frozenset({"evil"})), MEMORY, nobody)


def test_a_merge_that_cannot_fit_says_what_it_needs(tmp_path: Path) -> None:
    for name in ("base", "a"):
        plain(tmp_path / name, name)
    text = recipe("ties", base=str(tmp_path / "base"), experts=(str(tmp_path / "a"),))
    with pytest.raises(MemoryError, match=r"this merge needs at least \d+M of memory"):
        merge(Merge(recipe=text, out=tmp_path / "out"), 10**8, nobody)
