"""What records may name and mirrors follow is one and the same."""

import asyncio

import pytest

from protocol import location
from protocol.errors import MalformedError
from protocol.records.forms import LOCATION
from protocol.roads.mirrors import MirrorRoad
from tests.protocol.roads.test_mirrors import MANIFEST

LONGEST = "https://h/" + "x" * (location.MAX_CHARACTERS - 10)

FOLLOWED = [
    "https://h",
    "https://example.org/a/b.c/",
    "https://192.0.2.1:8443/m/",
    "https://[2001:db8::1]:1/m",
    "https://example.org/a%20b~c,(1)@2/",
    "hf://owner/name@main",
    "hf://_o/n-1.x@refs/pr/1",
    f"hf://{'o' * 96}/{'n' * 96}@{'r' * 128}",
    LONGEST,
]

REFUSED = [
    "",
    "https://",
    "http://example.org/m/",
    "HTTPS://example.org/",
    "https://u:p@h/",
    "https://h/?q",
    "https://h?q",
    "https://h/#f",
    "https://h/a b",
    "https://h/\n",
    "https://h/ä",
    "https://h/a\\b",
    "https://h:123456/",
    "https://[zz]/",
    "ftp://example.org/",
    "file:///etc",
    "/etc",
    "hf://owner",
    "hf://owner/name",
    "hf://owner/name@",
    "hf://../..@main",
    "hf://owner/name@main y",
    f"hf://{'o' * 97}/n@r",
    LONGEST + "x",
]


@pytest.mark.must("REC-14", "MIR-7")
@pytest.mark.parametrize("address", FOLLOWED)
def test_what_a_record_may_name_a_mirror_follows(address: str) -> None:
    assert LOCATION.read(address, "here") == address
    asyncio.run(opened(address))


@pytest.mark.must("REC-14", "MIR-7")
@pytest.mark.parametrize("address", REFUSED)
def test_what_a_mirror_does_not_follow_no_record_may_name(address: str) -> None:
    with pytest.raises(MalformedError):
        LOCATION.read(address, "here")
    with pytest.raises(MalformedError):
        asyncio.run(opened(address))


async def opened(address: str) -> None:
    async with await MirrorRoad(MANIFEST).connect(address):
        pass
