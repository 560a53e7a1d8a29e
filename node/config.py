"""What a user may set, where each value came from, and what is wrong with those that are not accepted.

A flag wins over the environment, that over the file, that over the default. The file is TOML with one table for each
class below; ``UMM_NETWORK_LISTEN`` sets ``listen`` in ``[network]``, with commas between the items of a list.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from node.errors import UserError
from node.sizes import MAX_SHOWN, read_size, shown

MAX_CONFIG_BYTES = 32 * 1024
"""Some four hundred keys; the parser's time grows with the square of what a hostile file nests."""

MAX_REASON = 200
"""Characters of what the parser has to say."""

PREFIX = "UMM_"


@dataclass(frozen=True, kw_only=True)
class Network:
    """How this node and others reach each other."""

    listen: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/7400",)
    """Multiaddrs of the swarm."""
    announce: tuple[str, ...] = ()
    """What to tell others in their place, behind a port forwarding for example."""
    bootstrap: tuple[str, ...] = ()
    """Addresses of nodes through which this one joins."""
    relays: tuple[str, ...] = ()
    """Nodes through which others reach this one, when it cannot be dialled."""
    client: bool = False
    """Ask and publish, and keep nothing for others: for a node that nobody can dial."""
    relay: bool = False
    """Carry bytes for nodes that cannot be dialled. Needs a public address."""
    nat: bool = True
    """Ask the router for a port and punch holes. Off where all nodes are on one machine."""
    exchange_listen: str = "0.0.0.0:7401"
    """``host:port`` of the direct road; empty for none."""
    exchange_announce: str = ""
    """``host:port`` at which others reach the direct road; empty: only through the swarm's connections."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What may be kept on the disk."""

    quota: int = 100 * 10**9
    """Bytes of blobs; those used longest ago make room."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What others and heavy work may take of this machine."""

    upload: int = 0
    """Bytes a second for all peers together; 0 for no limit."""
    memory: int = 8 * 10**9
    """Bytes that a child process may use."""
    job_seconds: int = 24 * 3600
    """How long one merge may take."""
    threads: int = 0
    """Of a merge; 0 for one for each core."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """Who may give this node orders, beside its owner on this machine."""

    listen: str = ""
    """``host:port`` for orders from other machines over mutual TLS; empty for none."""
    keys: tuple[str, ...] = ()
    """The public points (66 hexadecimal digits) that may give them."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings."""

    network: Network = field(default_factory=Network)
    storage: Storage = field(default_factory=Storage)
    limits: Limits = field(default_factory=Limits)
    control: Control = field(default_factory=Control)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Of every setting that is not a default: ``network.listen`` to the file, the variable or the flag."""

    def origin(self, name: str) -> str:
        """Where the value of ``network.listen`` came from."""
        return self.origins.get(name, "default")

    def items(self) -> list[tuple[str, Any, str]]:
        """Every setting: its name, its value and its origin."""
        return [
            (f"{table}.{key}", getattr(getattr(self, table), key), self.origin(f"{table}.{key}"))
            for table, known in TABLES.items()
            for key in known
        ]


TABLES: dict[str, dict[str, Field[Any]]] = {
    table: {f.name: f for f in fields(made)}
    for table, made in (("network", Network), ("storage", Storage), ("limits", Limits), ("control", Control))
}
_CLASSES: dict[str, type[Any]] = {"network": Network, "storage": Storage, "limits": Limits, "control": Control}


def load(path: Path, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Config:
    """The settings of a node. ``flags`` maps ``network.listen`` to a value; None in it is no value."""
    given: dict[str, tuple[Any, str]] = {}
    for name, value in _from_file(path).items():
        given[name] = (_checked(name, value, str(path)), str(path))
    for name, text, variable in _from_environment(environment):
        given[name] = (_checked(name, _spelled(name, text, variable), variable), variable)
    for name, value in (flags or {}).items():
        if value is not None:
            flag = "--" + name.partition(".")[2].replace("_", "-")
            given[name] = (_checked(name, value, flag), flag)
    parts = {
        table: made(**{key: given[f"{table}.{key}"][0] for key in TABLES[table] if f"{table}.{key}" in given})
        for table, made in _CLASSES.items()
    }
    return Config(**parts, origins={name: origin for name, (_, origin) in given.items()})


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"the settings in {path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_CONFIG_BYTES:
        raise UserError(f"{path} has more than {MAX_CONFIG_BYTES} bytes; it cannot be a file of settings")
    try:
        found = tomllib.loads(data.decode())
    except RecursionError:
        raise UserError(f"{path} is not TOML that anybody wrote: it nests too deeply") from None
    except ValueError as error:  # also of text that is not UTF-8, and of a number of thousands of digits
        raise UserError(f"{path} is not TOML: {str(error)[:MAX_REASON]}") from None
    flat: dict[str, Any] = {}
    for table, inner in found.items():
        if table not in TABLES:
            raise UserError(f"{path}: there is no table {shown(table)}{_suggestion(table, TABLES)}")
        if not isinstance(inner, dict):
            raise UserError(f"{path}: {table} is a table; write [{table}] and its settings below")
        for key, value in inner.items():
            if key not in TABLES[table]:
                raise UserError(f"{path}: [{table}] has no setting {shown(key)}{_suggestion(key, TABLES[table])}")
            flat[f"{table}.{key}"] = value
    return flat


def _from_environment(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    known = {f"{PREFIX}{table}_{key}".upper(): f"{table}.{key}" for table in TABLES for key in TABLES[table]}
    starts = tuple(f"{PREFIX}{table}_".upper() for table in TABLES)
    for variable in environment:
        if variable.startswith(starts) and variable not in known:
            raise UserError(f"the variable {shown(variable)} sets nothing{_suggestion(variable, known)}")
    return [(name, environment[variable], variable) for variable, name in known.items() if variable in environment]


def _hint(name: str) -> Any:
    table, _, key = name.partition(".")
    return get_type_hints(_CLASSES[table])[key]


def _spelled(name: str, text: str, origin: str) -> Any:
    """A value from the environment in TOML's types."""
    hint = _hint(name)
    if hint is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise UserError(f"{origin} is true or false, not {shown(text)}")
        return text.lower() in ("true", "1")
    if hint is int:
        return text
    return text if hint is str else [part.strip() for part in text.split(",") if part.strip()]


def _checked(name: str, value: Any, origin: str) -> Any:
    """A value of the setting's type."""
    hint = _hint(name)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, (int, str)) and not isinstance(value, bool):
        return read_size(value, f"{name} ({origin})")
    if hint is str and isinstance(value, str):
        return value
    if hint == tuple[str, ...] and isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    meant = {bool: "true or false", int: 'a number of bytes or seconds, such as 512 or "2GB"', str: "text"}
    raise UserError(f"{name} ({origin}) is {meant.get(hint, 'a list of texts')}, not {shown(value)}")


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name[:MAX_SHOWN], known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(sorted(known))}"
