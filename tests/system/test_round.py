"""A whole round between real processes: a convener, contributors, stewards, and a stranger who has the round's id."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from node.control.client import Client
from node.control.interface import conclusion
from node.control.orders import FollowOrder, PullOrder, ReviseOrder, Role, WithdrawOrder
from node.control.views import OfferState, RoundDetail
from node.errors import NodeError
from node.recipes import Member, expand
from node.verify.verifying import Means, Request, verify
from protocol.records import Phase
from tests.system.nodes import RECIPE, Company, NodeProcess, asynchronous, company, draft, offered, opened, until
from tests.umm.checkpoints import adapter, merged, numbers, plain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COMMIT, REVEAL = 20, 16
"""Seconds; a machine that is busy with other tests takes a few for the start of a node."""

HAS_RESULT_SECONDS = 120.0


def has_result(detail: RoundDetail) -> bool:
    return bool(detail.outcomes)


def in_phase(phase: Phase) -> Callable[[RoundDetail], bool]:
    return lambda detail: detail.summary.phase == phase.value


async def pulled(client: Client, what: bytes, out: Path) -> bytes:
    return (await conclusion(client.pull(PullOrder(what=what, out=out)), lambda _: None)).root


async def is_verified(folder: Path, round_id: bytes) -> bool:
    report = (await verify(Request(folder, round=round_id), Means(time.monotonic))).report
    return report.code == 0


def experts(folder: Path) -> dict[str, Path]:
    """A base, two experts and an adapter."""
    low = {"lora_A": numbers("low", (2, 8)), "lora_B": numbers("high", (8, 2)) * np.float32(0.1)}
    factors = {f"model.layers.0.self_attn.q_proj.{side}.weight": array for side, array in low.items()}
    return {
        "base": plain(folder / "base"),
        "maths": plain(folder / "maths", "maths"),
        "prose": plain(folder / "prose", "prose"),
        "lora": adapter(folder / "lora", factors),
    }


@asynchronous
async def test_three_experts_become_one_model_that_a_stranger_can_check(tmp_path: Path) -> None:
    models = experts(tmp_path / "models")
    with company() as nodes:
        _, convener = await nodes.node("convener")
        contributors = {name: (await nodes.node(name))[1] for name in ("maths", "prose", "lora")}
        round_id = await opened(convener, draft(models["base"], commit=COMMIT, reveal=REVEAL))
        ids = []
        for name, contributor in contributors.items():
            ids.append((await offered(contributor, round_id, models[name])).contribution)
        detail = await until(convener, round_id, has_result, HAS_RESULT_SECONDS)
        assert {entry.state for entry in detail.entries} == {OfferState.MERGED}
        assert {entry.id for entry in detail.entries} == set(ids)

        _, stranger = await nodes.node("stranger")
        out = tmp_path / "pulled"
        root = await pulled(stranger, round_id, out)
        assert root == detail.outcomes[0].root
        assert await is_verified(out, round_id)

        kinds = {"maths": "delta", "prose": "delta", "lora": "adapter"}
        roster = [Member(i or b"", kinds[n], "math") for i, n in zip(ids, kinds, strict=True)]
        where = {member.id: models[name] for member, name in zip(roster, kinds, strict=True)}
        text = expand(RECIPE, roster, detail.seed, str(models["base"]), lambda member: str(where[member.id]))
        assert merged(text, tmp_path, "offline").root == root


@asynchronous
async def test_contributors_that_are_killed_and_started_again_are_in(tmp_path: Path) -> None:
    models = experts(tmp_path / "models")
    with company() as nodes:
        _, convener = await nodes.node("convener")
        hidden, early = await nodes.node("hidden")
        shown, late = await nodes.node("shown")
        round_id = await opened(convener, draft(models["base"], commit=COMMIT, reveal=REVEAL))
        await offered(early, round_id, models["maths"])
        await offered(late, round_id, models["prose"])
        await until(convener, round_id, lambda detail: detail.commitments == 2, 30)
        hidden.kill()  # between its commitment and the reveal
        await until(convener, round_id, in_phase(Phase.REVEAL), 60)
        hidden.start()
        await hidden.client()
        await until(convener, round_id, lambda detail: detail.total_entries == 2, 60)
        shown.kill()  # after the reveal
        shown.start()
        await shown.client()
        detail = await until(convener, round_id, has_result, HAS_RESULT_SECONDS)
        assert [entry.state for entry in detail.entries] == [OfferState.MERGED] * 2


@pytest.mark.parametrize("phase", [Phase.COMMIT, Phase.REVEAL, Phase.ROSTER])
@asynchronous
async def test_a_steward_that_is_killed_in_any_phase_goes_on_where_it_was(tmp_path: Path, phase: Phase) -> None:
    models = experts(tmp_path / "models")
    with company() as nodes:
        _, friend = await nodes.node("friend")  # the bootstrap peer lives on
        steward, convener = await nodes.node("steward")
        _, contributor = await nodes.node("contributor")
        round_id = await opened(convener, draft(models["base"], commit=COMMIT, reveal=REVEAL))
        await offered(contributor, round_id, models["maths"])
        await until(friend, round_id, in_phase(phase), 90)
        steward.kill()
        steward.start()
        again = await steward.client()
        detail = await until(again, round_id, has_result, HAS_RESULT_SECONDS)
        assert len(detail.outcomes) == 1
        assert [entry.state for entry in detail.entries] == [OfferState.MERGED]


async def stewards_of(nodes: Company, names: str) -> dict[str, tuple[NodeProcess, Client]]:
    return {name: await nodes.node(name) for name in names}


@asynchronous
async def test_three_of_four_stewards_publish_one_result_while_one_is_silent(tmp_path: Path) -> None:
    models = experts(tmp_path / "models")
    with company() as nodes:
        stewards = await stewards_of(nodes, "abcd")
        points = tuple(node.key.public.point for node, _ in stewards.values())
        convener = stewards["a"][1]
        round_id = await opened(
            convener, draft(models["base"], commit=COMMIT, reveal=REVEAL, roster=60, stewards=points)
        )
        for name in "bcd":
            await stewards[name][1].follow(FollowOrder(round=round_id, role=Role.STEWARD))
        await offered(stewards["b"][1], round_id, models["maths"])
        await offered(stewards["c"][1], round_id, models["prose"])
        stewards["d"][0].kill()
        detail = await until(convener, round_id, has_result, HAS_RESULT_SECONDS)
        assert len({outcome.root for outcome in detail.outcomes}) == 1
        assert len(detail.outcomes[0].endorsed_by) >= 3
        out = tmp_path / "pulled"
        assert await pulled(stewards["c"][1], round_id, out) == detail.outcomes[0].root
        assert await is_verified(out, round_id)


@asynchronous
async def test_a_withdrawn_contribution_is_taken_out_by_a_revision(tmp_path: Path) -> None:
    models = experts(tmp_path / "models")
    with company() as nodes:
        _, convener = await nodes.node("convener")
        _, contributor = await nodes.node("contributor")
        round_id = await opened(convener, draft(models["base"], commit=COMMIT, reveal=REVEAL))
        kept = await offered(contributor, round_id, models["maths"])
        taken = await offered(contributor, round_id, models["prose"])
        await until(convener, round_id, has_result, HAS_RESULT_SECONDS)
        assert taken.contribution is not None
        await contributor.withdraw(WithdrawOrder(contribution=taken.contribution, reason="wrong data"))
        await until(
            convener,
            round_id,
            lambda detail: any(entry.state is OfferState.WITHDRAWN for entry in detail.entries),
            60,
        )
        await convener.revise(ReviseOrder(round=round_id, reason="withdrawn"))
        detail = await until(convener, round_id, lambda found: len(found.outcomes) == 2, HAS_RESULT_SECONDS)
        result, revision = detail.outcomes
        assert revision.removed == (taken.contribution,)
        assert revision.root != result.root
        states = {entry.id: entry.state for entry in detail.entries}
        assert states[kept.contribution or b""] is OfferState.MERGED
        out = tmp_path / "revised"
        assert await pulled(contributor, round_id, out) == revision.root
        assert await is_verified(out, round_id)


@asynchronous
async def test_a_contribution_that_no_steward_would_take_is_refused_where_it_is_made(tmp_path: Path) -> None:
    models = experts(tmp_path / "models")
    other = plain(tmp_path / "models" / "wide", "wide", width=16)
    with company() as nodes:
        _, convener = await nodes.node("convener")
        round_id = await opened(convener, draft(models["base"], commit=60, reveal=REVEAL))
        with pytest.raises(NodeError, match="not like the base"):
            await offered(convener, round_id, other)
