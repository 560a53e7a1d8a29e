"""What a node must not forget, in SQLite: records with the moment they were first seen, rounds, own offers, jobs.

Rules:

1. A call that changes something has it on the disk when it returns (WAL, ``synchronous=FULL``). What a node signs is
   here before anybody sees it, so after a crash it never signs the contrary.
2. Records are kept as the envelopes that came, under their ids, in the order in which they were accepted: that order is
   the node's log. ``first_seen`` is never changed: rules of the round depend on it.
3. One process has a database open: SQLite locks it for as long as that process lives. A database of a newer program is
   refused, an older one is brought up to date.
4. Thread-safe; calls block for as long as the disk takes, so the daemon makes them in threads.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import RLock
from typing import Any

from node.errors import BusyError, MachineFault, UserError
from protocol.blobs.kinds import KINDS, About

VERSION = 1

BUSY_SECONDS = 10.0
"""For another process to end that has the database open."""

PRIVATE = 0o600
"""It holds contributions that are still hidden."""

SCHEMA = """
CREATE TABLE records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    round BLOB NOT NULL,
    envelope BLOB NOT NULL,
    first_seen REAL NOT NULL
);
CREATE INDEX records_of_round ON records (round, seq);
CREATE TABLE rounds (
    id BLOB PRIMARY KEY,
    followed_at REAL,
    note BLOB
);
CREATE TABLE offers (
    id BLOB PRIMARY KEY,
    round BLOB NOT NULL,
    envelope BLOB NOT NULL,
    folder TEXT NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    made_at REAL NOT NULL
);
CREATE TABLE verdicts (
    round BLOB NOT NULL,
    contribution BLOB NOT NULL,
    fault TEXT,
    reason TEXT,
    PRIMARY KEY (round, contribution)
);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    round BLOB NOT NULL,
    what TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    answer TEXT,
    changed_at REAL NOT NULL
);
CREATE TABLE folders (
    manifest BLOB PRIMARY KEY,
    kind INTEGER NOT NULL,
    about BLOB NOT NULL,
    folder TEXT NOT NULL
);
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Kept:
    """A record as it came, and when it first did."""

    id: bytes
    envelope: bytes
    first_seen: float


@dataclass(frozen=True)
class Offer:
    """A contribution of this node's own; hidden from the others until the round's reveals open."""

    id: bytes
    round: bytes
    envelope: bytes
    folder: Path
    withdrawn: bool
    made_at: float


@dataclass(frozen=True)
class Verdict:
    """What this node found when it checked a contribution; ``fault`` is None if nothing was wrong."""

    contribution: bytes
    fault: str | None
    reason: str | None


class State(StrEnum):
    """Of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Job:
    """A piece of heavy work, done once: ``id`` says what it is and on what."""

    id: str
    round: bytes
    what: str
    state: State
    attempts: int
    answer: Mapping[str, Any]


class Database:
    """The file ``node.db``."""

    def __init__(self, path: Path, wait_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._lock = RLock()
        with self._blaming():
            path.touch(PRIVATE)
            self._db = sqlite3.connect(path, timeout=wait_seconds, check_same_thread=False, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Closing twice is allowed."""
        with self._lock:
            self._db.close()

    # -- records ---------------------------------------------------------------------------------------------------

    def add_records(self, round_id: bytes, records: Sequence[Kept]) -> int:
        """Keep records that were accepted, in this order; how many were new. A known one stays as it is."""
        with self._writing() as db:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO records (id, round, envelope, first_seen) VALUES (?, ?, ?, ?)",
                [(kept.id, round_id, kept.envelope, kept.first_seen) for kept in records],
            )
            return db.total_changes - before

    def records(self, round_id: bytes) -> list[Kept]:
        """All records of a round, the Round itself among them, in the order in which they were accepted."""
        found = self._read("SELECT id, envelope, first_seen FROM records WHERE round = ? ORDER BY seq", round_id)
        return [Kept(*row) for row in found]

    def envelope(self, record_id: bytes) -> bytes | None:
        """The record with this id, as it came."""
        found = self._read("SELECT envelope FROM records WHERE id = ?", record_id)
        return bytes(found[0][0]) if found else None

    # -- rounds ----------------------------------------------------------------------------------------------------

    def follow(self, round_id: bytes, now: float) -> None:
        """Take part in a round from now on, if only as a reader."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO rounds (id, followed_at) VALUES (?, ?) "
                "ON CONFLICT (id) DO UPDATE SET followed_at = coalesce(followed_at, excluded.followed_at)",
                (round_id, now),
            )

    def unfollow(self, round_id: bytes) -> None:
        """Look after a round no longer; its records and what was signed of its log stay."""
        with self._writing() as db:
            db.execute("UPDATE rounds SET followed_at = NULL WHERE id = ?", (round_id,))

    def followed(self) -> list[bytes]:
        """The rounds that this node looks after."""
        query = "SELECT id FROM rounds WHERE followed_at IS NOT NULL ORDER BY followed_at, id"
        return [bytes(row[0]) for row in self._read(query)]

    def note(self, round_id: bytes) -> bytes | None:
        """The newest checkpoint of the round's log that this node signed."""
        found = self._read("SELECT note FROM rounds WHERE id = ?", round_id)
        return found[0][0] if found else None

    def sign_note(self, round_id: bytes, note: bytes) -> None:
        """Remember a checkpoint of the round's log, before anybody sees it."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO rounds (id, note) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET note = excluded.note",
                (round_id, note),
            )

    # -- own contributions -----------------------------------------------------------------------------------------

    def offer(self, contribution: bytes, round_id: bytes, envelope: bytes, folder: Path, now: float) -> None:
        """Remember a contribution that is still hidden: without it the commitment could never be opened."""
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO offers (id, round, envelope, folder, made_at) VALUES (?, ?, ?, ?, ?)",
                (contribution, round_id, envelope, str(folder), now),
            )

    def withdraw(self, contribution: bytes) -> None:
        """Reveal it no more."""
        with self._writing() as db:
            db.execute("UPDATE offers SET withdrawn = 1 WHERE id = ?", (contribution,))

    def offers(self, round_id: bytes | None = None) -> list[Offer]:
        """Own contributions, of one round or of all."""
        columns = "SELECT id, round, envelope, folder, withdrawn, made_at FROM offers"
        if round_id is None:
            found = self._read(f"{columns} ORDER BY made_at, id")
        else:
            found = self._read(f"{columns} WHERE round = ? ORDER BY made_at, id", round_id)
        return [Offer(i, r, e, Path(folder), bool(w), made) for i, r, e, folder, w, made in found]

    # -- verdicts, jobs, folders -----------------------------------------------------------------------------------

    def judge(self, round_id: bytes, verdict: Verdict) -> None:
        """Remember what was found about a contribution."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO verdicts (round, contribution, fault, reason) VALUES (?, ?, ?, ?)",
                (round_id, verdict.contribution, verdict.fault, verdict.reason),
            )

    def verdicts(self, round_id: bytes) -> dict[bytes, Verdict]:
        """What was found so far, by contribution."""
        found = self._read("SELECT contribution, fault, reason FROM verdicts WHERE round = ?", round_id)
        return {bytes(row[0]): Verdict(*row) for row in found}

    def put_job(self, job: Job, now: float) -> None:
        """Remember how far a job is."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO jobs (id, round, what, state, attempts, answer, changed_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (job.id, job.round, job.what, job.state.value, job.attempts, json.dumps(dict(job.answer)), now),
            )

    def job(self, job_id: str) -> Job | None:
        """A job, if there is or was one with this id."""
        found = self._read("SELECT id, round, what, state, attempts, answer FROM jobs WHERE id = ?", job_id)
        return _job(found[0]) if found else None

    def jobs(self, *states: State) -> list[Job]:
        """Jobs in these states, the oldest first."""
        found = self._read("SELECT id, round, what, state, attempts, answer FROM jobs ORDER BY changed_at, id")
        return [job for row in found if (job := _job(row)).state in states]

    def keep_folder(self, manifest_id: bytes, about: About, folder: Path) -> None:
        """A folder on this disk is served as the blobs of a manifest."""
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO folders (manifest, kind, about, folder) VALUES (?, ?, ?, ?)",
                (manifest_id, about.CODE, about.encode(), str(folder)),
            )

    def drop_folder(self, manifest_id: bytes) -> None:
        """It is served no longer."""
        with self._writing() as db:
            db.execute("DELETE FROM folders WHERE manifest = ?", (manifest_id,))

    def folders(self) -> dict[bytes, tuple[Path, About]]:
        """Every folder that is served, by its manifest, and what the manifest is of."""
        found = self._read("SELECT manifest, folder, kind, about FROM folders")
        return {bytes(m): (Path(folder), KINDS[kind].parse(bytes(about))) for m, folder, kind, about in found}

    # -- small facts -----------------------------------------------------------------------------------------------

    def fact(self, name: str) -> str | None:
        """A small thing by its name, such as whether the node is paused."""
        found = self._read("SELECT value FROM facts WHERE name = ?", name)
        return str(found[0][0]) if found else None

    def put_fact(self, name: str, value: str) -> None:
        """Remember it."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    # -- within ----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise UserError(f"{self._path} was written by a newer program (version {version}); update this one")
        if version == 0:
            self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def _read(self, query: str, *values: object) -> list[Any]:
        with self._lock, self._blaming():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing."""
        with self._lock, self._blaming():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite has ended it already when the disk was full
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:  # whichever of its kinds
                raise BusyError(
                    f"another process has the database {self._path} open; is a node running? stop it with: umm stop"
                ) from None
            raise self._fault(str(error)) from error
        except sqlite3.Error as error:
            raise self._fault(str(error)) from error
        except OSError as error:
            raise self._fault(error.strerror or str(error)) from None

    def _fault(self, why: str) -> MachineFault:
        return MachineFault(
            f"the database {self._path} does not work ({why}); look at the disk and at who may write there"
        )


def _job(row: tuple[Any, ...]) -> Job:
    job_id, round_id, what, state, attempts, answer = row
    return Job(job_id, bytes(round_id), what, State(state), attempts, json.loads(answer or "{}"))
