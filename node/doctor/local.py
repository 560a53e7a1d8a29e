"""The node's folder, key and settings, and whether the machine has what the settings promise."""

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from node.config import Config, load
from node.doctor.finding import Finding, fail, ok, warn
from node.errors import NodeError
from node.home import Home
from protocol.errors import ProtocolError

OWN = 0o700

MIN_FREE_BYTES = 2 * 10**9
"""Below this no model of use fits."""

MAX_FILES = 200_000
"""Of the store that are counted; it has one file for each blob."""

CGROUP = Path("/sys/fs/cgroup/memory.max")
"""What a container may use."""


def settings(home: Home, environment: Mapping[str, str]) -> tuple[Finding, Config]:
    """Whether the settings can be read, and what they are: the defaults if they cannot."""
    try:
        found = load(home.config, environment)
    except NodeError as error:
        return fail("settings", str(error), f"correct it in {home.config}; umm config show --origin shows the rest"), (
            Config()
        )
    what = str(home.config) if home.config.exists() else "all defaults, there is no file"
    return ok("settings", what), found


def key(home: Home) -> Finding:
    """Whether the key is there, and only ours."""
    from protocol.identity import keyfile

    if not os.path.lexists(home.key):
        return fail("key", f"there is no {home.key}", "umm init makes one, umm key import FILE restores one")
    try:
        public = keyfile.load(home.key).public
    except ProtocolError as error:
        wide = "others may use" in str(error)
        fix = f"chmod 600 {home.key}" if wide else "restore it from the backup: umm key import FILE"
        return fail("key", str(error), fix)
    return ok("key", f"{public.name}, {home.key}")


def folder(path: Path) -> Finding:
    """Whether the node's folder can be written, by us alone."""
    if not path.is_dir():
        return fail("folder", f"there is no folder {path}", "umm init makes it")
    try:
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        return fail("folder", f"{path} cannot be written: {error.strerror}", "make it yours: chown, or set UMM_HOME")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & ~OWN:
        return fail("folder", f"others may look into {path} (mode {mode:04o})", f"chmod 700 {path}")
    return ok("folder", str(path))


def disk(path: Path, quota: int, free: int | None = None) -> Finding:
    """Whether the disk has what the quota allows, beyond what is stored already."""
    there = next((p for p in (path, *path.parents) if p.is_dir()), Path("/"))
    free = shutil.disk_usage(there).free if free is None else free
    wanted = max(quota - _used(path), 0)
    found = f"{_gb(free)} free, the quota is {_gb(quota)}"
    if free < MIN_FREE_BYTES:
        return fail("disk", found, f"free some of the disk that holds {there}, or move the node (UMM_HOME)")
    if free < wanted:
        fix = f'lower it: quota = "{int(free * 0.9 / 10**9)}GB" below [storage], or free some disk'
        return warn("disk", found, fix)
    return ok("disk", found)


def room(title: str, most: int, quota: int, free: int) -> Finding:
    """Whether a steward could keep all that may be contributed to a round, which counts against disk and quota."""
    found = f"{title}: contributions may take {_gb(most)}; the quota is {_gb(quota)}, {_gb(free)} are free"
    if most > quota:
        return warn("round", found, f'raise it: quota = "{-(-most // 10**9)}GB" below [storage], or leave stewarding')
    if most > free:
        return warn("round", found, "free some disk before contributions come, or move the node (UMM_HOME)")
    return ok("round", found)


def memory(limit: int, there: int | None = None) -> Finding:
    """Whether a child process may use what ``limits.memory`` allows it."""
    there = _memory() if there is None else there
    found = f"{_gb(there)}, of which a merge may use {_gb(limit)}"
    if limit > there:
        fix = f'lower it: memory = "{max(int(there * 0.7 / 10**8), 1) * 100}MB" below [limits]'
        return warn("memory", found, fix)
    return ok("memory", found)


def _used(path: Path) -> int:
    total, count = 0, 0
    for where, _, names in os.walk(path):
        for name in names:
            count += 1
            if count > MAX_FILES:
                return total
            try:
                total += (Path(where) / name).lstat().st_blocks * 512
            except OSError:  # removed meanwhile
                continue
    return total


def _memory() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        allowed = CGROUP.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return physical
    return min(physical, int(allowed)) if allowed.isdecimal() else physical


def _gb(amount: int) -> str:
    return f"{amount / 10**9:.1f} GB"
