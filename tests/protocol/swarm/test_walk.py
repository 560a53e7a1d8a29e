"""The search for the nearest nodes, without a network."""

import random

import pytest

from protocol.swarm.walk import LIES, MAX_ASKED, MAX_NAMED, MAX_UNPROVEN, Walk

COUNT = 20

Answers = dict[str, tuple[int, list[tuple[int, str]]]]
"""By who answers: its id, and the nodes it names."""


def search(walk: Walk[str], answers: Answers) -> list[list[str]]:
    """Ask whom the walk wants to ask; who is not in ``answers`` is silent."""
    rounds = []
    while peers := walk.ask():
        rounds.append(peers)
        for peer in peers:
            if peer in answers:
                walk.answered(peer)
                walk.learn(answers[peer][1], source=peer)
    return rounds


@pytest.mark.must("SWM-19")
@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_nodes_are_found_by_asking(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    ids = {f"n{number}": chance.getrandbits(160) for number in range(300)}
    key = chance.getrandbits(160)
    answers = {}
    for name, own in ids.items():
        known = {*sorted(ids, key=lambda other: ids[other] ^ own)[:20], *chance.sample(sorted(ids), 40)}
        answers[name] = own, sorted(((ids[other], other) for other in known), key=lambda n: n[0] ^ key)[:20]
    walk: Walk[str] = Walk(key, COUNT)
    walk.learn([(ids["n0"], "n0")])
    search(walk, answers)
    assert walk.nearest()[:COUNT] == sorted(ids, key=lambda name: ids[name] ^ key)[:COUNT]


@pytest.mark.must("SWM-20")
def test_nodes_that_do_not_exist_push_nobody_out() -> None:
    others = [(10_000 + number, f"h{number}") for number in range(COUNT - 1)]
    honest: Answers = {name: (node_id, others) for node_id, name in others}
    fakes = [(number, f"fake{number}") for number in range(2, 22)]
    walk: Walk[str] = Walk(0, COUNT)
    walk.learn(others[:3])
    walk.learn([(1, "liar")])
    search(walk, {**honest, "liar": (1, fakes)})
    assert set(honest) < set(walk.nearest())
    assert not any(name.startswith("fake") for name in walk.nearest())
    assert walk.liars() == {"liar"}


@pytest.mark.must("SWM-20")
def test_a_source_with_more_living_than_dead_nodes_is_no_liar() -> None:
    alive: Answers = {f"a{number}": (100 + number, []) for number in range(LIES + 1)}
    named = [(answer[0], name) for name, answer in alive.items()] + [(200 + n, f"dead{n}") for n in range(LIES)]
    walk: Walk[str] = Walk(0, COUNT)
    walk.learn([(1, "source")])
    search(walk, {**alive, "source": (1, named)})
    assert walk.liars() == set()


@pytest.mark.must("SWM-20")
def test_one_answer_names_only_so_many() -> None:
    walk: Walk[str] = Walk(0, 1000)
    walk.learn([(1, "source")])
    many = [(2 + n, f"n{n}") for n in range(10_000)]
    rounds = search(walk, {"source": (1, many), **{name: (node_id, []) for node_id, name in many}})
    assert sum(map(len, rounds)) == 1 + MAX_NAMED
    assert max(map(len, rounds)) == MAX_UNPROVEN


@pytest.mark.must("SWM-20")
def test_nobody_is_asked_on_the_word_of_a_liar_alone() -> None:
    """However near the nodes are that it invents, they cost one round, and others are asked in the same one."""
    fakes = [(number, f"fake{number}") for number in range(2, 22)]
    honest = [(10_000 + number, f"h{number}") for number in range(30)]
    walk: Walk[str] = Walk(0, COUNT)
    walk.learn([(1, "liar"), (9_999, "source")])
    rounds = search(walk, {"liar": (1, fakes), "source": (9_999, honest), **{n: (i, []) for i, n in honest}})
    asked = [sum(name.startswith("fake") for name in names) for names in rounds]
    assert asked[1] == MAX_UNPROVEN
    assert sum(asked) == MAX_UNPROVEN
    assert any(name.startswith("h") for name in rounds[1])


def test_a_search_in_an_endless_network_ends() -> None:
    walk: Walk[str] = Walk(0, COUNT)
    walk.learn([(2**160 - 1, "n0")])
    asked = 0
    while peers := walk.ask():
        for peer in peers:
            asked += 1
            walk.answered(peer)
            walk.learn([(2**160 - 1 - asked * 100 - n, f"n{asked}.{n}") for n in range(20)], source=peer)
    assert asked == MAX_ASKED
