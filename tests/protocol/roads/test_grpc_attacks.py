"""Who is who on the direct road, with an attacker at either end or in the middle of the line."""

import asyncio
import ssl

import grpc
import grpc.aio
import pytest

from protocol.envelope import Envelope
from protocol.errors import ForgedError, MalformedError, PeerError, UnavailableError
from protocol.exchange.budget import Limits, Rate
from protocol.exchange.requests import RecordsRequest
from protocol.exchange.shelf import MemoryShelf
from protocol.identity import Key
from protocol.roads.grpc import messages
from protocol.roads.grpc.certificate import Credentials, credentials, node_key, voucher
from protocol.roads.grpc.road import GrpcRoad
from protocol.roads.grpc.server import MAX_CONNECTIONS, OPTIONS
from tests.protocol.exchange.loop import on_loop
from tests.protocol.keys import key
from tests.protocol.roads.wire import (
    NOW,
    Answer,
    Tap,
    asked,
    channel_to,
    forged,
    honest,
    lying,
    serving,
    voucher_of,
)

SERVER, CLIENT, ATTACKER = key(31), key(32), key(33)
SECRET = Envelope.sign("application/vnd.umm.round+json; v=1", b'{"secret":"plain words"}', SERVER)
REQUEST = messages.write_records_request(RecordsRequest((SECRET.id,)))


class Counting(MemoryShelf):
    """Notes how often it was asked for a record."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.put_record(SECRET)

    async def record(self, record_id: bytes) -> bytes | None:
        self.asked += 1
        return await super().record(record_id)


def never() -> Answer:
    """A server of the attacker's that must not be reached."""

    async def answer(_: bytes, __: "grpc.aio.ServicerContext[bytes, bytes]") -> None:
        raise AssertionError("the client spoke to the attacker")

    return answer


# The attacker serves


@pytest.mark.must("EXC-19")
@on_loop
async def test_a_server_with_a_key_of_its_own_is_not_taken_for_another() -> None:
    async with lying(honest(ATTACKER), never()) as port:
        with pytest.raises(ForgedError, match=ATTACKER.public.peer_id):
            await GrpcRoad(CLIENT, NOW).connect(f"127.0.0.1:{port}", SERVER.public)


def stolen_voucher() -> Credentials:
    """The server's voucher, as anybody has seen it, beside the attacker's TLS key."""
    return forged(Key.generate(), voucher=voucher_of(honest(SERVER)))


def self_made_voucher() -> Credentials:
    """The server's point with a signature of the attacker's."""
    tls = Key.generate()
    return forged(tls, voucher=SERVER.public.point + voucher(ATTACKER, tls.public.der)[33:])


def only_the_name() -> Credentials:
    """The server's peer id as the subject."""
    return forged(Key.generate(), subject=SERVER.public.peer_id)


def the_node_key_itself() -> Credentials:
    """A certificate for the node key, which vouches for nothing."""
    return forged(ATTACKER, subject=ATTACKER.public.peer_id)


@pytest.mark.must("EXC-18")
@pytest.mark.parametrize("forge", [stolen_voucher, self_made_voucher, only_the_name, the_node_key_itself])
@pytest.mark.parametrize("expects", [True, False], ids=["expected", "anyone"])
@on_loop
async def test_a_server_that_no_node_vouches_for_is_refused(forge: object, expects: bool) -> None:
    assert callable(forge)
    async with lying(forge(), never()) as port:
        with pytest.raises((ForgedError, MalformedError)):
            await GrpcRoad(CLIENT, NOW).connect(f"127.0.0.1:{port}", SERVER.public if expects else None)


# The attacker sits on the line


@pytest.mark.must("EXC-20")
@on_loop
async def test_whoever_takes_the_line_over_after_the_look_gets_nothing() -> None:
    async with serving(SERVER, Counting()) as (server, _), lying(honest(ATTACKER), never()) as evil:
        tap = Tap(server.address.port)
        tap.targets = [server.address.port, evil]
        async with tap.open():
            with pytest.raises(UnavailableError):
                await GrpcRoad(CLIENT, NOW).connect(f"127.0.0.1:{tap.port}", SERVER.public)
            assert len(tap.heard) >= 2, "the line was taken over"


@pytest.mark.must("EXC-17")
@on_loop
async def test_a_line_that_listens_learns_nothing() -> None:
    async with serving(SERVER, Counting()) as (server, _), Tap(server.address.port).open() as tap:
        async with await GrpcRoad(CLIENT, NOW).connect(f"127.0.0.1:{tap.port}", SERVER.public) as peer:
            assert await peer.records([SECRET.id]) == [SECRET.encode()]
        heard = b"".join(tap.heard + tap.answered)
        assert len(heard) > 1000
        assert SECRET.payload not in heard
        assert SECRET.id not in heard
        assert CLIENT.public.point not in heard, "in TLS 1.3 not even who is asking"


@pytest.mark.must("EXC-17")
@on_loop
async def test_a_line_that_changes_a_bit_ends_the_connection() -> None:
    async with (
        serving(SERVER, Counting()) as (server, _),
        Tap(server.address.port).open() as tap,
        await GrpcRoad(CLIENT, NOW).connect(f"127.0.0.1:{tap.port}", SERVER.public) as peer,
    ):
        tap.change = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        with pytest.raises(UnavailableError):
            await peer.records([SECRET.id])


@pytest.mark.must("EXC-17")
@on_loop
async def test_a_conversation_that_is_played_again_is_not_answered() -> None:
    shelf = Counting()
    async with serving(SERVER, shelf) as (server, _), Tap(server.address.port).open() as tap:
        async with await GrpcRoad(CLIENT, NOW).connect(f"127.0.0.1:{tap.port}", SERVER.public) as peer:
            await peer.records([SECRET.id])
        assert shelf.asked == 1
        for heard, answered in zip(tap.heard, tap.answered, strict=True):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.address.port)
            writer.write(heard)
            again = await asyncio.wait_for(reader.read(), 10)
            assert len(again) < len(answered)
            writer.close()
        assert shelf.asked == 1


# The attacker asks


def no_certificate() -> None:
    """A client that shows nothing."""


def signed_by_itself() -> Credentials:
    """A certificate that the open issuer did not sign."""
    tls = Key.generate()
    return forged(tls, voucher=voucher(ATTACKER, tls.public.der), self_signed=True)


@pytest.mark.must("EXC-17")
@pytest.mark.parametrize("forge", [no_certificate, signed_by_itself])
@on_loop
async def test_who_shows_no_certificate_of_the_open_issuer_does_not_come_in(forge: object) -> None:
    assert callable(forge)
    shelf = Counting()
    async with serving(SERVER, shelf) as (server, budget):
        async with channel_to(server, forge()) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(channel, "Records", REQUEST)
        assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        assert (shelf.asked, budget.remembered) == (0, 0)
        async with channel_to(server, honest(ATTACKER)) as channel:
            assert await asked(channel, "Records", REQUEST) != [], "strangers are welcome who say who they are"


def as_the_client(shown: Credentials) -> list[Credentials]:
    """What a server can make of the certificate that CLIENT showed it, to be CLIENT elsewhere."""
    return [
        forged(Key.generate(), voucher=voucher_of(shown)),
        forged(Key.generate(), voucher=voucher_of(shown), subject=CLIENT.public.peer_id),
        forged(ATTACKER, voucher=voucher_of(shown)),
        forged(Key.generate(), subject=CLIENT.public.peer_id),
    ]


@pytest.mark.must("EXC-18")
@pytest.mark.parametrize("way", range(4))
@on_loop
async def test_a_server_cannot_pass_for_its_client_elsewhere(way: int) -> None:
    shelf, shown = Counting(), honest(CLIENT)
    async with serving(SERVER, shelf) as (server, budget):
        async with channel_to(server, as_the_client(shown)[way]) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(channel, "Records", REQUEST)
        assert refused.value.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT)
        assert (shelf.asked, budget.remembered) == (0, 0)


@pytest.mark.must("EXC-18")
@on_loop
async def test_a_certificate_without_its_key_is_worth_nothing() -> None:
    shelf, shown = Counting(), honest(CLIENT)
    stolen = Credentials(shown.certificate, Key.generate().pkcs8_pem())
    async with serving(SERVER, shelf) as (server, budget):
        async with channel_to(server, stolen) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await asked(channel, "Records", REQUEST)
        assert (shelf.asked, budget.remembered) == (0, 0)


@pytest.mark.must("EXC-26")
@on_loop
async def test_connections_are_limited_and_a_place_is_free_again_when_one_ends() -> None:
    async with serving(SERVER, Counting()) as (server, _):
        road, where = GrpcRoad(CLIENT, NOW), str(server.address)
        lines = [await asyncio.open_connection("127.0.0.1", server.address.port) for _ in range(MAX_CONNECTIONS)]
        with pytest.raises(UnavailableError):
            await road.connect(where, SERVER.public)
        for _, writer in lines:
            writer.close()
        for _ in range(100):
            try:
                async with await road.connect(where, SERVER.public) as peer:
                    assert await peer.records([SECRET.id]) == [SECRET.encode()]
                return
            except UnavailableError:
                await asyncio.sleep(0.01)
        raise AssertionError("the server never recovered")


@pytest.mark.must("EXC-18")
@on_loop
async def test_a_client_pays_from_its_own_account_whatever_names_it_uses() -> None:
    tls = Key.generate()
    disguised = forged(tls, voucher=voucher(ATTACKER, tls.public.der), subject=CLIENT.public.peer_id)
    async with serving(SERVER, Counting(), Limits(requests_per_peer=Rate(0.001, 2))) as (server, _):
        async with channel_to(server, disguised) as channel:
            for _ in range(2):
                await asked(channel, "Records", REQUEST)
            with pytest.raises(grpc.aio.AioRpcError):
                await asked(channel, "Records", REQUEST)
        async with await GrpcRoad(CLIENT, NOW).connect(str(server.address), None) as peer:
            assert await peer.records([SECRET.id]) == [SECRET.encode()]


@pytest.mark.must("EXC-26")
def test_a_handshake_has_ten_seconds() -> None:
    assert dict(OPTIONS)["grpc.server_handshake_timeout_ms"] == 10_000


# Neither end is an attacker


@pytest.mark.must("EXC-17")
@on_loop
async def test_the_node_key_signs_nothing_in_tls() -> None:
    shown = honest(SERVER)
    der = ssl.PEM_cert_to_DER_cert(shown.certificate.decode())
    assert node_key(der) == SERVER.public
    assert SERVER.public.der not in der
    assert shown.private_key != SERVER.pkcs8_pem()
    assert credentials(SERVER, NOW).private_key != shown.private_key, "each process has its own"


@pytest.mark.must("EXC-17")
@pytest.mark.parametrize("days", [-3600, 0, 29])
@on_loop
async def test_clocks_that_differ_by_weeks_still_meet(days: int) -> None:
    made = credentials(SERVER, NOW + days * 86400.0)
    async with (
        lying(made, never()) as port,
        await GrpcRoad(CLIENT, NOW).connect(f"127.0.0.1:{port}", SERVER.public) as peer,
    ):
        with pytest.raises(PeerError):
            await peer.records([SECRET.id])
