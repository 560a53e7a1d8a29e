"""Addresses of mirrors, and what may be behind them.

==============================  =====================================================
``https://host/folder/``        files below an address (``http://`` only if trusted)
``hf://owner/name@revision``    a repository of the Hugging Face hub at a revision
``/folder``, ``file:///folder``  a folder of this machine (only if trusted)
==============================  =====================================================

An address that came in a record was chosen by a stranger: it is not trusted, so it reaches neither this machine's
folders nor servers in its private networks. One that the operator typed is.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from protocol import location
from protocol.blobs.manifest import Manifest
from protocol.errors import MalformedError, UsageError
from protocol.identity import PublicKey
from protocol.roads.mirrors.files import Files, LocalFiles
from protocol.roads.mirrors.http import HttpFiles
from protocol.roads.mirrors.mirror import Mirror

HUB = "https://huggingface.co"


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
        web = f"https://{address[7:]}" if self._trusted and address.startswith("http://") else address
        found = location.parsed(web)
        if found is not None and found["repository"]:
            return self._repository(found["repository"], found["revision"])
        if found is not None:
            return HttpFiles(address if address.endswith("/") else f"{address}/", trusted=self._trusted)
        if not self._trusted or not address.isprintable():
            raise MalformedError(f"{address[:80]!a} is not {location.MEANING}; others are for operators only")
        if address.startswith("file://"):
            return LocalFiles(Path(unquote(urlsplit(address).path)))
        if "://" in address:
            raise MalformedError(f"{address[:80]!a} is neither a folder nor {location.MEANING}")
        return LocalFiles(Path(address))

    def _repository(self, name: str, revision: str) -> Files:
        headers: Mapping[str, str] = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return HttpFiles(
            f"{self._hub}/{name}/resolve/{quote(revision, safe='')}/", trusted=self._trusted, headers=headers
        )
