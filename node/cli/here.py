"""The node of this machine, for verbs: where it lies, its settings, its key."""

import os
from typing import TYPE_CHECKING, Any

from node.config import Config, load
from node.errors import UserError
from node.home import VARIABLE, Home

if TYPE_CHECKING:
    from protocol.identity import Key, PublicKey


def home() -> Home:
    """Its folder, whether there is one yet or not."""
    return Home.find(os.environ)


def settings(place: Home, flags: dict[str, Any] | None = None) -> Config:
    """What its settings are."""
    return load(place.config, os.environ, flags)


def key(place: Home) -> "Key":
    """Its key."""
    from protocol.identity import keyfile

    require(place)
    return keyfile.load(place.key)


def require(place: Home) -> None:
    """Refuse to go on where no node was made."""
    if not os.path.lexists(place.key):
        raise UserError(
            f"there is no node in {place.folder}; make one with: umm init (or set {VARIABLE} to its folder)"
        )


def described(public: "PublicKey") -> list[tuple[str, str]]:
    """A key, for people."""
    return [("name", public.name), ("peer id", public.peer_id), ("key", public.point.hex())]


def documented(public: "PublicKey") -> dict[str, str]:
    """A key, for programs. ``key`` is the point by which rounds name it."""
    return {"name": public.name, "peer_id": public.peer_id, "key": public.point.hex()}
