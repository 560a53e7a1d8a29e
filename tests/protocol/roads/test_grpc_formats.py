"""Messages, certificates and addresses of the direct road: golden bytes, hostile ones, and there and back again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ForgedError, MalformedError, PeerError
from protocol.exchange.pieces import PIECE_BYTES, Piece
from protocol.exchange.requests import ChunkListRequest, ChunksRequest, RecordsRequest
from protocol.identity import PublicKey
from protocol.roads.grpc import exchange_pb2, messages
from protocol.roads.grpc.address import Address
from protocol.roads.grpc.certificate import node_key, voucher
from tests.fuzz import fuzz_exchange
from tests.protocol.hostile import make_exchange as hostile
from tests.protocol.keys import key
from tests.protocol.roads import generate
from tests.vectors.make_exchange import NODE

GOLDEN = json.loads((Path(__file__).parents[2] / "vectors" / "exchange.json").read_text(encoding="utf-8"))
HOSTILE = sorted(hostile.FOLDER.glob("*.bin"))

READERS: dict[str, Callable[[bytes], object]] = {
    "records_request": messages.read_records_request,
    "chunk_list_request": messages.read_chunk_list_request,
    "chunks_request": messages.read_chunks_request,
    "record": messages.read_record,
    "chunk_list_part": messages.read_chunk_list_part,
    "piece": messages.read_piece,
    "certificate": node_key,
}

FORGED = {"voucher-for-another-tls-key", "voucher-by-another-node", "voucher-in-another-domain"}

digests = st.binary(min_size=32, max_size=32)


@pytest.mark.must("EXC-21")
def test_messages_have_their_golden_bytes() -> None:
    for one in GOLDEN["records_requests"]:
        request = RecordsRequest(tuple(map(bytes.fromhex, one["ids"])))
        assert messages.write_records_request(request).hex() == one["data"]
        assert messages.read_records_request(bytes.fromhex(one["data"])) == request
    for one in GOLDEN["chunk_list_requests"]:
        asked = ChunkListRequest(bytes.fromhex(one["blob"]))
        assert messages.write_chunk_list_request(asked).hex() == one["data"]
        assert messages.read_chunk_list_request(bytes.fromhex(one["data"])) == asked
    for one in GOLDEN["chunks_requests"]:
        wanted = ChunksRequest(bytes.fromhex(one["blob"]), tuple(one["indices"]))
        assert messages.write_chunks_request(wanted).hex() == one["data"]
        assert messages.read_chunks_request(bytes.fromhex(one["data"])) == wanted
    for one in GOLDEN["records"]:
        assert messages.write_record(bytes.fromhex(one["envelope"])).hex() == one["data"]
        assert messages.read_record(bytes.fromhex(one["data"])).hex() == one["envelope"]
    for one in GOLDEN["chunk_list_parts"]:
        assert messages.write_chunk_list_part(bytes.fromhex(one["part"])).hex() == one["data"]
        assert messages.read_chunk_list_part(bytes.fromhex(one["data"])).hex() == one["part"]
    for one in GOLDEN["pieces"]:
        piece = Piece(one["index"], one["size"], bytes.fromhex(one["bytes"]))
        assert messages.write_piece(piece).hex() == one["data"]
        assert messages.read_piece(bytes.fromhex(one["data"])) == piece


@pytest.mark.must("EXC-17")
def test_vouchers_and_certificates_have_their_golden_bytes() -> None:
    for one in GOLDEN["vouchers"]:
        assert key(NODE).public.point.hex() == one["node"]
        assert voucher(key(NODE), bytes.fromhex(one["tls"])).hex() == one["voucher"]
    for one in GOLDEN["certificates"]:
        assert node_key(bytes.fromhex(one["certificate"])) == PublicKey.from_point(bytes.fromhex(one["node"]))


@pytest.mark.must("EXC-18", "EXC-21")
@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_a_fault_is_refused_with_its_own_error(path: Path) -> None:
    kind, fault = path.stem.split(".")
    with pytest.raises(ForgedError if fault in FORGED else MalformedError):
        READERS[kind](path.read_bytes())


def test_the_hostile_files_are_those_of_their_generator() -> None:
    assert {path.stem: path.read_bytes() for path in HOSTILE} == hostile.faults()


@given(st.lists(digests, min_size=1, max_size=128, unique=True))
def test_a_request_for_records_survives_the_way(ids: list[bytes]) -> None:
    request = RecordsRequest(tuple(ids))
    data = messages.write_records_request(request)
    assert len(data) <= messages.MAX_REQUEST_BYTES
    assert messages.read_records_request(data) == request


@given(digests, st.lists(st.integers(0, 1_048_575), min_size=1, max_size=64, unique=True))
def test_a_request_for_chunks_survives_the_way(blob: bytes, indices: list[int]) -> None:
    request = ChunksRequest(blob, tuple(sorted(indices)))
    data = messages.write_chunks_request(request)
    assert len(data) <= messages.MAX_REQUEST_BYTES
    assert messages.read_chunks_request(data) == request


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, PIECE_BYTES))
def test_a_piece_survives_the_way(index: int, size: int, length: int) -> None:
    piece = Piece(index, size, bytes(length))
    data = messages.write_piece(piece)
    assert len(data) <= messages.MAX_ANSWER_BYTES
    assert messages.read_piece(data) == piece


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_by_name_or_understood(data: bytes) -> None:
    fuzz_exchange.one(data)


@pytest.mark.must("EXC-25")
@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("192.0.2.1:4433", "ipv4:192.0.2.1:4433"),
        ("[2001:db8::1]:1", "ipv6:[2001:db8::1]:1"),
        ("node.example.org:65535", "dns:///node.example.org:65535"),
        ("localhost:80", "dns:///localhost:80"),
        ("x-1.a0:80", "dns:///x-1.a0:80"),
        ("unix:80", "dns:///unix:80"),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, target: str) -> None:
    address = Address.parse(text)
    assert str(address) == text
    assert address.target == target


@pytest.mark.must("EXC-25")
@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "host",
        "host:",
        "host:0",
        "host:080",
        "host:65536",
        "host:-1",
        "host:٣",
        "host:80 ",
        " host:80",
        "unix:/run/docker.sock",
        "dns:///host:80",
        "vsock:1:2",
        "http://host:80",
        "user@host:80",
        "host/path:80",
        "ho st:80",
        "-host:80",
        "host-:80",
        "host.:80",
        ".host:80",
        "a..b:80",
        "2001:db8::1:80",
        "[192.0.2.1]:80",
        "[host]:80",
        "[fe80::1%eth0]:80",
        "[]:80",
        "0x7f000001:80",
        "2130706433:80",
        "127.1:80",
        "1.2.3.4.5:80",
        "x" * 254 + ":80",
        "h\0st:80",
        "höst:80",
    ],
)
def test_an_address_that_could_be_read_as_something_else_is_refused(text: str) -> None:
    with pytest.raises(PeerError):
        Address.parse(text)


def test_the_generated_code_is_that_of_the_proto_file() -> None:
    kept = descriptor_pb2.FileDescriptorProto.FromString(exchange_pb2.DESCRIPTOR.serialized_pb)
    assert generate.descriptor() == kept, "run python -m tests.protocol.roads.generate"


def test_the_methods_are_those_of_the_proto_file() -> None:
    methods = [method.name for method in exchange_pb2.DESCRIPTOR.services_by_name["Exchange"].methods]
    assert methods == ["Records", "ChunkList", "Chunks"]
