"""Addresses of mirrors, and what may be behind them.

==============================  =====================================================
``https://host/folder/``        files below an address (``http://`` only if trusted)
``hf://owner/name@revision``    a repository of the Hugging Face hub at a revision
``/folder``, ``file:///folder``  a folder of this machine (only if trusted)
==============================  =====================================================

An address that came in a record was chosen by a stranger: it is not trusted, so it reaches neither this machine's
folders nor servers in its private networks. One that the operator typed is.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from protocol.blobs.manifest import Manifest
from protocol.errors import MalformedError, UsageError
from protocol.identity import PublicKey
from protocol.roads.mirrors.files import Files, LocalFiles
from protocol.roads.mirrors.http import HttpFiles
from protocol.roads.mirrors.mirror import Mirror

HUB = "https://huggingface.co"

MAX_ADDRESS_CHARACTERS = 2048

_REPOSITORY = re.compile(r"hf://([\w.-]{1,96}/[\w.-]{1,96})@([\w./-]{1,128})", re.ASCII)


class MirrorRoad:
    """Opens mirrors of what a manifest names. ``token`` is for the hub alone, ``hub`` another one of its kind."""

    def __init__(self, manifest: Manifest, trusted: bool = False, token: str | None = None, hub: str = HUB) -> None:
        self._manifest = manifest
        self._trusted = trusted
        self._token = token
        self._hub = hub.rstrip("/")

    async def connect(self, address: str, expected: PublicKey | None = None) -> Mirror:
        """See :class:`protocol.exchange.interface.Road`; nothing is asked yet."""
        if expected is not None:
            raise UsageError(f"{address[:80]!a} is a mirror: it has no key that could be expected")
        return Mirror(address, self._manifest, self._files(address))

    def _files(self, address: str) -> Files:
        if len(address) > MAX_ADDRESS_CHARACTERS or not address.isprintable() or not address.isascii():
            raise MalformedError(f"{address[:80]!a} is not an address of a mirror")
        if address.startswith("hf://"):
            return self._repository(address)
        if address.startswith(("https://", "http://")):
            return HttpFiles(_folder_url(address), trusted=self._trusted)
        if not self._trusted:
            raise MalformedError(f"{address[:80]!a} is not an https:// or hf:// address; others are for operators only")
        if address.startswith("file://"):
            return LocalFiles(Path(unquote(urlsplit(address).path)))
        return LocalFiles(Path(address))

    def _repository(self, address: str) -> Files:
        found = _REPOSITORY.fullmatch(address)
        if found is None:
            raise MalformedError(f"{address[:80]!a} is not a repository such as hf://owner/name@revision")
        headers: Mapping[str, str] = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        base = f"{self._hub}/{found[1]}/resolve/{quote(found[2], safe='')}/"
        return HttpFiles(base, trusted=self._trusted, headers=headers)


def _folder_url(address: str) -> str:
    parts = urlsplit(address)
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise MalformedError(f"{address[:80]!a} is not the address of a folder: host and path, and nothing else")
    return address if address.endswith("/") else f"{address}/"
