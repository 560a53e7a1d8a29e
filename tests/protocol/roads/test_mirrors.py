"""Mirrors: folders, web servers that behave and that do not, and a stand-in for the hub, all on this machine."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.layout import lay_out
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from protocol.errors import (
    BusyError,
    ForgedError,
    MalformedError,
    PeerError,
    TooLargeError,
    UnavailableError,
    UsageError,
)
from protocol.exchange.download import fetch
from protocol.roads.mirrors import Mirror, MirrorRoad
from protocol.roads.mirrors import http as http_mirror
from protocol.roads.mirrors.answers import DEFAULT_RETRY_SECONDS
from protocol.roads.mirrors.connect import is_public
from protocol.roads.mirrors.http import HttpFiles
from protocol.roads.mirrors.mirror import runs
from protocol.roads.mirrors.places import parse_index
from tests.fuzz import fuzz_mirror_index
from tests.protocol.exchange.scripted import MemoryStore, blob
from tests.protocol.keys import key
from tests.protocol.roads.webserver import Dripping, Site, dripping, serving

Result = TypeVar("Result")

CONFIG = b'{"model_type":"llama"}'
DATA = {"a.weight": blob(4, seed=1), "b.weight": blob(1, seed=2, tail=64), "c.empty": b"", "d.weight": blob(2, seed=3)}
"""Four tensors, of 7 chunks together."""


def manifest_of(data: dict[str, bytes]) -> Manifest:
    tensors = (TensorEntry(n, "U8", (len(values),), ChunkList.of(values).id) for n, values in sorted(data.items()))
    return Manifest(Checkpoint(), (FileEntry("config.json", len(CONFIG), ChunkList.of(CONFIG).id),), tuple(tensors))


def files_of(manifest: Manifest, shard_bytes: int, data: dict[str, bytes] = DATA) -> dict[str, bytes]:
    layout = lay_out(manifest, shard_bytes)
    found = {s.file: s.head + b"".join(data[tensor.name] for tensor in s.tensors) for s in layout.shards}
    if layout.index is not None:
        found["model.safetensors.index.json"] = layout.index
    return found | {"config.json": CONFIG}


MANIFEST = manifest_of(DATA)
SINGLE = files_of(MANIFEST, 1 << 40)
SHARDED = files_of(MANIFEST, 3 << 20)
[A] = [tensor.blob_id for tensor in MANIFEST.tensors if tensor.name == "a.weight"]


def site_of(files: dict[str, bytes], below: str = "/m/", **ways: Any) -> Site:
    return Site({below + name: data for name, data in files.items()}, **ways)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    async def bounded() -> Result:
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(bounded())


async def mirror_at(address: str, manifest: Manifest = MANIFEST, **road: Any) -> Mirror:
    return await MirrorRoad(manifest, **({"trusted": True} | road)).connect(address)


async def collected(mirror: Mirror, blob_id: bytes, *indices: int) -> list[tuple[int, bytes]]:
    async with aclosing(mirror.chunks(blob_id, indices)) as chunks:
        return [chunk async for chunk in chunks]


def downloaded(address: str, manifest: Manifest = MANIFEST, **road: Any) -> MemoryStore:
    """Everything, from this mirror alone."""

    async def work() -> MemoryStore:
        store = MemoryStore()
        async with await mirror_at(address, manifest, **road) as mirror:
            await fetch(manifest.blobs, store, [], [mirror])
        return store

    return run(work())


def assert_complete(store: MemoryStore) -> None:
    for entry in MANIFEST.tensors:
        assert store.whole(entry.blob_id) == DATA[entry.name]
    assert store.whole(MANIFEST.files[0].blob_id) == CONFIG


@pytest.mark.must("MIR-1")
@pytest.mark.parametrize("files", [SINGLE, SHARDED], ids=["one file", "several files"])
def test_a_folder_is_a_source(tmp_path: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert_complete(downloaded(str(tmp_path)))
    assert_complete(downloaded(tmp_path.as_uri()))


@pytest.mark.must("MIR-1", "MIR-2")
@pytest.mark.parametrize("files", [SINGLE, SHARDED], ids=["one file", "several files"])
def test_a_web_server_is_a_source(files: dict[str, bytes]) -> None:
    with serving(site_of(files)) as site:
        assert_complete(downloaded(site.address + "/m"))
    assert all("Range" in headers for _, headers in site.seen)
    assert site.connections <= http_mirror.CONNECTIONS + 2, "connections are used again"


def test_a_server_that_closes_every_connection_is_a_source() -> None:
    with serving(site_of(SINGLE, keeps=False)) as site:
        assert_complete(downloaded(site.address + "/m"))


@pytest.mark.must("MIR-5")
def test_the_hub_is_a_source_and_its_token_stays_with_it() -> None:
    elsewhere = site_of(SHARDED, "/cdn/")
    with serving(elsewhere):
        hub = Site(redirects={"/owner/name/resolve/refs%2Fpr%2F1/": elsewhere.address + "/cdn/{rest}"})
        with serving(hub):
            assert_complete(downloaded("hf://owner/name@refs/pr/1", hub=hub.address, token="secret"))  # noqa: S106
    assert {headers.get("Authorization") for _, headers in hub.seen} == {"Bearer secret"}
    assert {headers.get("Authorization") for _, headers in elsewhere.seen} == {None}
    assert len(hub.seen) <= len(SHARDED) + 3, "where a file was found is remembered"


def test_where_a_file_was_found_is_asked_for_again_when_it_has_expired() -> None:
    elsewhere = site_of(SINGLE, "/one/")
    with serving(elsewhere), serving(site_of(SINGLE, "/two/")) as other:
        front = Site(redirects={"/m/": elsewhere.address + "/one/{rest}"})
        with serving(front):

            async def work() -> None:
                async with await mirror_at(front.address + "/m") as mirror:
                    assert len(await collected(mirror, A, 0)) == 1
                    front.redirects = {"/m/": other.address + "/two/{rest}"}
                    elsewhere.status = 403
                    assert len(await collected(mirror, A, 1)) == 1

            run(work())


@pytest.mark.must("MIR-2")
def test_neighbouring_chunks_come_in_one_request() -> None:
    async def work(address: str) -> list[int]:
        async with await mirror_at(address) as mirror:
            return [index for index, data in await collected(mirror, A, 0, 1, 3) if DATA["a.weight"].find(data) >= 0]

    with serving(site_of(SINGLE)) as site:
        assert run(work(site.address + "/m")) == [0, 1, 3]
    ranges = [headers["Range"] for path, headers in site.seen if path.endswith("safetensors")]
    start = SINGLE["model.safetensors"].find(DATA["a.weight"])
    assert ranges[-2:] == [
        f"bytes={start}-{start + 2 * CHUNK_BYTES - 1}",
        f"bytes={start + 3 * CHUNK_BYTES}-{start + len(DATA['a.weight']) - 1}",
    ]


@given(st.sets(st.integers(0, 30)))
def test_runs_are_the_same_numbers_without_gaps(found: set[int]) -> None:
    made = list(runs(sorted(found)))
    assert [index for run in made for index in run] == sorted(found)
    assert all(before.stop < after.start for before, after in pairwise(made))


BAD: dict[str, tuple[dict[str, Any], type[PeerError], str]] = {
    "not there": ({"files": {}}, UnavailableError, r"is not there \(status 404\)"),
    "forbidden": ({"status": 403}, UnavailableError, r"status 403"),
    "broken": ({"status": 500}, UnavailableError, r"status 500"),
    "busy": ({"status": 429, "extra": {"Retry-After": "7"}}, BusyError, "is busy"),
    "overloaded": ({"status": 503}, BusyError, "is busy"),
    "ignores ranges": ({"ignores_range": True}, UnavailableError, "ignores that only a part"),
    "sends another range": ({"shifted": 1}, MalformedError, "were asked for"),
    "announces too much": ({"announces": 5}, MalformedError, "were asked for"),
    "compressed": ({"extra": {"Content-Encoding": "gzip"}}, MalformedError, "compressed"),
    "cuts off": ({"cuts": 1000}, UnavailableError, "broke off"),
    "goes silent": ({"hangs_after": 1000}, UnavailableError, "brings too little"),
    "redirects for ever": ({"redirects": {"/m/": "/m/{rest}"}}, UnavailableError, "more than 5 times"),
    "redirects to nonsense": ({"redirects": {"/m/": "http://a:b:c/"}}, UnavailableError, "cannot be reached"),
    "redirects to a file": ({"redirects": {"/m/": "file:///etc/passwd"}}, MalformedError, "not https"),
    "changes": ({"grows": True}, MalformedError, "now has"),
}


@pytest.mark.must("MIR-3", "MIR-4")
@pytest.mark.parametrize("way", BAD)
def test_a_bad_server_is_refused_by_name(way: str) -> None:
    ways, error, words = BAD[way]

    async def work(address: str) -> None:
        files = HttpFiles(address, trusted=True, silence=0.3)
        try:
            await files.size("model.safetensors") if way == "changes" else None
            async with aclosing(files.read("model.safetensors", 8, CHUNK_BYTES)) as pieces:
                async for _ in pieces:
                    pass
        finally:
            await files.close()

    site = site_of(SINGLE)
    for name, value in ways.items():
        setattr(site, name, value)
    with serving(site), pytest.raises(error, match=words) as raised:
        run(work(site.address + "/m/"))
    if isinstance(raised.value, BusyError):
        assert raised.value.retry_after == (7.0 if way == "busy" else DEFAULT_RETRY_SECONDS)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        run(HttpFiles("http://127.0.0.1:1/", trusted=True).size("x"))


@pytest.mark.must("MIR-4")
def test_a_server_that_drips_is_given_up() -> None:
    async def work(address: str) -> None:
        files = HttpFiles(address, trusted=True, silence=60.0, piece_seconds=0.3)
        try:
            async with aclosing(files.read("model.safetensors", 8, CHUNK_BYTES)) as pieces:
                async for _ in pieces:
                    pass
        finally:
            await files.close()

    with serving(site_of(SINGLE, hangs_after=10)) as site, pytest.raises(UnavailableError, match="brings too little"):
        run(work(site.address + "/m/"))


def test_cancelling_ends_the_request() -> None:
    async def work(address: str) -> None:
        async with await mirror_at(address) as mirror:
            task = asyncio.ensure_future(collected(mirror, A, 0))
            while not site.seen:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    with serving(site_of(SINGLE, hangs_after=10)) as site:
        run(work(site.address + "/m"))


@pytest.mark.must("MIR-1")
def test_a_mirror_with_other_bytes_is_found_out_and_dropped() -> None:
    files = dict(SINGLE)
    files["model.safetensors"] = files["model.safetensors"][:-1] + b"!"
    with serving(site_of(files)) as site, pytest.raises(UnavailableError, match="dropped, sent what it should not"):
        downloaded(site.address + "/m")


def test_a_mirror_of_another_model_lacks_everything() -> None:
    other = {"z": b"12345678"}
    with serving(site_of(files_of(manifest_of(other), 1 << 40, other))) as site:

        async def work() -> None:
            async with await mirror_at(site.address + "/m") as mirror:
                with pytest.raises(UnavailableError, match=r"no such tensor 'a\.weight'"):
                    await mirror.chunk_list(A)
                with pytest.raises(UnavailableError, match="is not in the manifest"):
                    await mirror.chunk_list(bytes(32))
                assert await mirror.records([bytes(32)]) == []

        run(work())


def test_a_tensor_of_another_dtype_is_not_the_tensor() -> None:
    text = json.dumps({"a.weight": {"dtype": "I8", "shape": [8], "data_offsets": [0, 8]}}).encode()
    with serving(site_of({"model.safetensors": len(text).to_bytes(8, "little") + text + bytes(8)})) as site:

        async def work() -> None:
            async with await mirror_at(site.address + "/m") as mirror:
                await collected(mirror, A, 0)

        with pytest.raises(UnavailableError, match="no such tensor"):
            run(work())


@pytest.mark.must("MIR-6")
@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"\xff" * 8 + bytes(100), TooLargeError),
        (b"\x00" * 4, MalformedError),
        ((1000).to_bytes(8, "little") + b"{}", MalformedError),
        ((2).to_bytes(8, "little") + b"{}" + b"tail", MalformedError),
    ],
)
def test_a_hostile_header_is_refused_before_it_is_fetched(head: bytes, error: type[PeerError]) -> None:
    with serving(site_of({"model.safetensors": head})) as site:

        async def work() -> None:
            async with await mirror_at(site.address + "/m") as mirror:
                await collected(mirror, A, 0)

        with pytest.raises(error):
            run(work())


def test_a_blob_beyond_the_limit_is_not_read() -> None:
    with serving(site_of(SINGLE)) as site:

        async def work() -> None:
            async with await mirror_at(site.address + "/m") as mirror:
                await mirror.chunk_list(A, 1000)

        with pytest.raises(TooLargeError):
            run(work())


INDEX_REFUSALS = {
    "not_json": "does not begin with",
    "without_a_map": "has no weight_map",
    "with_an_empty_map": "has no weight_map",
    "out_of_the_folder": "no weight file beside it",
    "with_an_address": "no weight file beside it",
    "with_a_number": "no weight file beside it",
    "with_a_pickle": "no weight file beside it",
    "with_a_query": "no weight file beside it",
}
HOSTILE = Path(__file__).parent.parent / "hostile" / "mirror_index"


@pytest.mark.must("MIR-6")
@pytest.mark.parametrize("fault", sorted(INDEX_REFUSALS))
def test_a_hostile_index_is_refused_by_name(fault: str) -> None:
    with pytest.raises(MalformedError, match=INDEX_REFUSALS[fault]):
        parse_index((HOSTILE / f"{fault}.json").read_bytes(), "the index")


def test_every_hostile_index_has_its_refusal() -> None:
    assert {path.stem for path in HOSTILE.iterdir()} == set(INDEX_REFUSALS)


@given(st.binary(max_size=200))
def test_an_index_of_any_bytes_raises_only_errors_of_peers(data: bytes) -> None:
    fuzz_mirror_index.one(data)


@pytest.mark.must("MIR-7")
@pytest.mark.parametrize(
    ("address", "public"),
    [("93.184.216.34", True), ("2606:2800:220:1::1", True), ("127.0.0.1", False), ("10.0.0.1", False),
     ("169.254.169.254", False), ("::1", False), ("fe80::1%eth0", False), ("192.168.1.1", False)],
)  # fmt: skip
def test_addresses_of_private_networks_are_known(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_strangers_https_never_becomes_http() -> None:
    files = HttpFiles("https://example.org/m/")
    answer: Callable[..., Any] = lambda name, default: "http://example.org/m/x"  # noqa: E731

    class Moved:
        getheader = staticmethod(answer)

    with pytest.raises(MalformedError, match="redirects from https"):
        files._redirected("https://example.org/m/x", Moved())  # type: ignore[arg-type]
    run(files.close())


def test_a_mirror_has_no_key_to_expect() -> None:
    with pytest.raises(UsageError, match="has no key"):
        run(MirrorRoad(MANIFEST).connect("https://example.org/", key(1).public))


def test_a_closed_mirror_answers_nothing() -> None:
    async def work() -> None:
        mirror = await mirror_at("https://example.org/")
        await mirror.close()
        await mirror.close()
        assert (mirror.identity, mirror.address) == (None, "https://example.org/")
        await mirror.chunk_list(A)

    with pytest.raises(UnavailableError, match="is closed"):
        run(work())


def test_a_folder_that_is_cut_short_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(CONFIG[:-1])

    async def work() -> None:
        await (await mirror_at(str(tmp_path))).chunk_list(MANIFEST.files[0].blob_id)

    with pytest.raises(MalformedError, match="ends before"):
        run(work())


def test_forged_files_are_refused_when_the_list_is_made() -> None:
    files = SINGLE | {"config.json": CONFIG[::-1]}
    with serving(site_of(files)) as site:

        async def work() -> None:
            async with await mirror_at(site.address + "/m") as mirror:
                await mirror.chunk_list(MANIFEST.files[0].blob_id)

        with pytest.raises(ForgedError, match=r"other bytes in config\.json"):
            run(work())


async def first_byte(files: HttpFiles) -> None:
    try:
        await files.size("x")
    finally:
        await files.close()


@pytest.mark.must("MIR-4")
@pytest.mark.parametrize("where", ["TLS", "the proxy", "headers"])
def test_a_server_that_drips_before_the_first_byte_is_cut_off(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of TLS that never ends, or a header."""
    begins = {"TLS": b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", "the proxy": b"HTTP/1.1 ", "headers": b"HTTP/1.1 206 "}
    with dripping(Dripping(begins[where])) as server:
        if where == "the proxy":
            behind_proxy(monkeypatch, server.port)
        scheme = "http" if where == "headers" else "https"
        files = HttpFiles(f"{scheme}://127.0.0.1:{server.port}/", trusted=True, silence=60.0, open_seconds=0.3)
        with pytest.raises(UnavailableError, match="brings too little"):
            run(first_byte(files))
        assert server.left.wait(5), "nothing goes on waiting for it"


def behind_proxy(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "nothing.invalid")
    monkeypatch.delenv("NO_PROXY", raising=False)


@pytest.mark.must("MIR-7")
@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "10.0.0.5", "169.254.169.254"])
def test_nothing_is_sent_to_a_private_network_for_a_stranger(
    host: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dripping(Dripping()) as server:
        if proxied:
            behind_proxy(monkeypatch, server.port)
        else:
            for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.delenv(name, raising=False)
        with pytest.raises(MalformedError, match="is not a public address"):
            run(first_byte(HttpFiles(f"https://{host}:{server.port}/", silence=0.5)))
        assert server.connections == 0


@pytest.mark.must("MIR-7")
def test_a_proxy_is_told_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with dripping(Dripping(b"HTTP/1.1 403 no\r\n\r\n")) as server:
        behind_proxy(monkeypatch, server.port)
        with pytest.raises(UnavailableError, match="the proxy says"):
            run(first_byte(HttpFiles("https://93.184.216.34/")))
        with pytest.raises(UnavailableError, match="the proxy says"):
            run(first_byte(HttpFiles("https://mirror.invalid:8443/", trusted=True)))
    assert b"CONNECT 93.184.216.34:443 HTTP/1.1\r\n" in server.heard
    assert b"CONNECT mirror.invalid:8443 HTTP/1.1\r\n" in server.heard


def test_threads_that_find_out_together_that_an_address_expired_do_not_trip_over_each_other() -> None:
    """Four requests are in progress with the old address when the first of them fails."""
    gone = site_of(SINGLE, "/old/")
    met = threading.Barrier(http_mirror.CONNECTIONS)

    class Files(HttpFiles):
        def _follow(self, answer: Any, name: str, url: str, start: int, length: int | None) -> int:
            try:
                return super()._follow(answer, name, url, start, length)
            except UnavailableError:
                met.wait(5)
                raise

    async def work(old: str, new: str) -> None:
        files = Files(new, trusted=True)
        files._found["config.json"] = old + "config.json"
        reads = [collected_bytes(files, "config.json", 0, len(CONFIG)) for _ in range(http_mirror.CONNECTIONS)]
        assert await asyncio.gather(*reads) == [CONFIG] * http_mirror.CONNECTIONS
        await files.close()

    gone.status = 403
    with serving(gone), serving(site_of(SINGLE)) as site:
        run(work(gone.address + "/old/", site.address + "/m/"))


async def collected_bytes(files: HttpFiles, name: str, start: int, length: int) -> bytes:
    async with aclosing(files.read(name, start, length)) as pieces:
        return b"".join([piece async for piece in pieces])


def test_an_idle_connection_that_another_thread_took_is_not_there() -> None:
    files = HttpFiles("https://example.org/")
    files._idle["https", "example.org"] = []
    assert files._kept(("https", "example.org")) is None
    assert files._kept(("https", "example.com")) is None
    run(files.close())


@pytest.mark.must("MIR-6")
def test_of_a_header_only_what_the_manifest_names_is_kept() -> None:
    more = DATA | {f"other.{n}": b"1234" for n in range(50)}
    for shard_bytes in (1 << 40, 3 << 20):
        with serving(site_of(files_of(manifest_of(more), shard_bytes, more))) as site:

            async def work(address: str) -> None:
                async with await mirror_at(address) as mirror:
                    for entry in MANIFEST.tensors:
                        await mirror.chunk_list(entry.blob_id)
                    kept = [name for header in mirror._places._headers.values() for name in header]
                    assert sorted(kept) == sorted(DATA)

            run(work(site.address + "/m"))
