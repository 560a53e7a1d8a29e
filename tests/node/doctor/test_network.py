"""What the doctor finds beyond this machine."""

import asyncio
import socket
import time

import pytest

from node.config import Config, Network
from node.doctor import examination, network, swarm
from node.doctor.finding import State
from protocol.identity import Key
from protocol.swarm.config import LOOPBACK
from protocol.swarm.config import Config as SwarmConfig

PEER = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
SKEWED = "local time must be within 3 seconds of its own, not {} ahead"


def at(port: int, host: str = "127.0.0.1") -> str:
    return f"/ip4/{host}/tcp/{port}/p2p/{PEER}"


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (at(7400), network.Target("127.0.0.1", 7400)),
        (f"/dns4/example.org/tcp/1/p2p/{PEER}", network.Target("example.org", 1)),
        (f"/ip6/::1/tcp/2/p2p/{PEER}/p2p-circuit/p2p/{PEER}", network.Target("::1", 2)),
        ("/ip4/1.2.3.4/udp/1/quic-v1", None),
        ("/ip4/1.2.3.4/tcp/99999", None),
        ("/ip4/1.2.3.4/tcp/0", None),
        ("", None),
        ("rubbish", None),
    ],
)
def test_addresses_lead_to_hosts(address: str, found: network.Target | None) -> None:
    assert network.target(address) == found


def test_a_closed_port_says_that_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        assert asyncio.run(network.dial(at(number))) is None
    assert "nothing listens on port" in str(asyncio.run(network.dial(at(number))))


def test_a_name_that_nobody_knows_says_so() -> None:
    why = asyncio.run(network.dial(f"/dns4/no-such-host.invalid/tcp/1/p2p/{PEER}"))
    assert why is not None
    assert "no-such-host.invalid is not known" in why


def test_what_is_no_address_is_not_dialled() -> None:
    assert "not an address of a node" in str(asyncio.run(network.dial("brave-otter-41")))


def test_each_bootstrap_address_says_how_far_one_came() -> None:
    found = [
        network.bootstrap("a", "refused", ""),
        network.bootstrap("a", None, ""),
        network.bootstrap("a", None, None),
        network.bootstrap("a", None, "no connection: security handshake failed"),
        network.bootstrap("a", None, SKEWED.format(9)),
    ]
    assert [f.state for f in found] == [State.FAIL, State.WARN, State.OK, State.FAIL, State.FAIL]
    assert "umm key show" in found[3].fix
    assert "clock" in found[4].fix


@pytest.mark.parametrize(("ahead", "said"), [(9, "9 s ahead of"), (-40, "40 s behind")])
def test_a_clock_that_is_wrong_is_told_by_how_much(ahead: int, said: str) -> None:
    finding = network.clock({"a": None, "b": SKEWED.format(ahead)})
    assert finding.state is State.FAIL
    assert said in finding.found
    assert "set-ntp" in finding.fix


def test_a_clock_is_known_only_where_somebody_answered() -> None:
    assert network.clock({"a": None, "b": "away"}).state is State.OK
    assert "cannot be known" in network.clock({"a": "away"}).found
    assert network.clock({}).state is State.WARN


PUBLIC = (at(7400, "8.8.8.8"),)


@pytest.mark.parametrize(
    ("settings", "own", "state", "said"),
    [
        (Network(client=True), "10.0.0.2", State.OK, "client"),
        (Network(bootstrap=PUBLIC, announce=("/ip4/192.168.1.5/tcp/7400",)), "10.0.0.2", State.FAIL, "192.168.1.5"),
        (Network(bootstrap=PUBLIC, announce=("/ip4/8.8.4.4/tcp/7400",)), "10.0.0.2", State.OK, "announces"),
        (Network(announce=("/ip4/192.168.1.5/tcp/7400",)), "192.168.1.5", State.OK, "announces"),
        (Network(relays=PUBLIC), "10.0.0.2", State.OK, "through relays (1)"),
        (Network(listen=("/ip4/127.0.0.1/tcp/0",)), "10.0.0.2", State.OK, "only this machine"),
        (Network(), None, State.WARN, "no network"),
        (Network(), "8.8.8.8", State.OK, "public address"),
        (Network(), "10.0.0.2", State.WARN, "private address behind a router; the router is asked"),
        (
            Network(nat=False),
            "100.64.1.1",
            State.WARN,
            "address shared by a provider, behind a router; the router is not",
        ),
    ],
)
def test_who_can_reach_this_node(settings: Network, own: str | None, state: State, said: str) -> None:
    finding = network.reach(settings, own)
    assert finding.state is state
    assert said in finding.found


def test_p2pd_is_started_and_timed() -> None:
    finding = asyncio.run(swarm.start())
    assert finding.state is State.OK
    assert finding.found.startswith("starts in ")
    assert swarm.binary() is not None


def test_a_node_that_is_there_is_greeted_and_an_impostor_is_not() -> None:
    from protocol.swarm.node import Swarm

    async def scene() -> dict[str, str | None]:
        config = SwarmConfig(Key.generate(), time.time, listen=LOOPBACK, nat=False)  # noqa: TID251
        there = await Swarm.start(config)
        try:
            real = there.addresses[0]
            forged = real.replace(there.peer_id, Key.generate().public.peer_id)
            greeted = await swarm.greet([real, forged])
            return {"real": greeted[real], "forged": greeted[forged]}
        finally:
            await there.close()

    found = asyncio.run(scene())
    assert found["real"] is None
    assert found["forged"] is not None
    assert network.bootstrap("a", None, found["forged"]).state is State.FAIL


def test_without_bootstrap_the_doctor_says_what_to_write() -> None:
    found = list(examination._others(Config(), has_p2pd=True))
    assert [f.name for f in found] == ["bootstrap", "clock"]
    assert "bootstrap = [" in found[0].fix


def test_nobody_is_greeted_behind_a_port_that_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
    found = list(examination._others(Config(network=Network(bootstrap=(at(number),))), has_p2pd=True))
    assert [(f.name, f.state) for f in found] == [("bootstrap", State.FAIL), ("clock", State.WARN)]
