"""Rounds that several tests look at; who spoils one takes a copy."""

from pathlib import Path

import pytest

from tests.node.verify import rounds
from tests.node.verify.rounds import World


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Four stewards, of which three signed."""
    return rounds.make(tmp_path_factory.mktemp("honest") / "round", signers=(11, 12, 13), stewards=(11, 12, 13, 14))


@pytest.fixture(scope="session")
def cheated(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The only steward changed one bit of the merged model and signed that."""
    where = tmp_path_factory.mktemp("cheated") / "round"
    return rounds.make(where, cheat=lambda model: rounds.flip(model, LIE))


@pytest.fixture
def pulled(honest: World, tmp_path: Path) -> World:
    """A copy of the honest model."""
    return honest.pulled(tmp_path / "out")


LIE = "model.layers.1.mlp.up_proj.weight"
