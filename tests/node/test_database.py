"""What a node must not forget: what it was told, in order, whatever happens to the process or the disk."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.database import VERSION, Database, Job, Kept, Offer, State, Verdict
from node.errors import BusyError, MachineFault, UserError
from protocol.blobs.kinds import Checkpoint, Delta

ROUND, OTHER = b"r" * 32, b"o" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database(path)) as made:
        yield made


def kept(number: int, seen: float = 1.0) -> Kept:
    return Kept(number.to_bytes(32, "big"), b"envelope %d" % number, seen)


def job(state: State, name: str = "merge/1") -> Job:
    return Job(name, ROUND, "merge", state, 1, {"root": "ab", "steps": [1, 2]})


# What is remembered


def test_records_keep_the_order_in_which_they_were_accepted(database: Database) -> None:
    assert database.add_records(ROUND, [kept(9), kept(3)]) == 2
    assert database.add_records(OTHER, [kept(5)]) == 1
    assert database.add_records(ROUND, [kept(7)]) == 1
    assert database.records(ROUND) == [kept(9), kept(3), kept(7)]
    assert database.records(OTHER) == [kept(5)]
    assert database.envelope(kept(5).id) == kept(5).envelope
    assert database.envelope(kept(6).id) is None


def test_a_record_that_is_known_stays_as_it_was_first_seen(database: Database) -> None:
    database.add_records(ROUND, [kept(1, seen=5.0)])
    again = [Kept(kept(1).id, b"spelled otherwise", 9.0), kept(2), kept(2, seen=7.0)]
    assert database.add_records(ROUND, again) == 1
    assert database.records(ROUND) == [kept(1, seen=5.0), kept(2)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 20), max_size=5), max_size=8))
def test_records_are_an_ordered_set(tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]) -> None:
    path = tmp_path_factory.mktemp("d") / "node.db"
    wanted: dict[int, None] = {}
    with closing(Database(path)) as database:
        for batch in batches:
            before = len(wanted)
            wanted |= dict.fromkeys(batch)
            assert database.add_records(ROUND, [kept(one) for one in batch]) == len(wanted) - before
    with closing(Database(path)) as database:
        assert database.records(ROUND) == [kept(one) for one in wanted]


def test_rounds_are_followed_until_they_are_not_and_their_records_stay(database: Database) -> None:
    database.follow(ROUND, 2.0)
    database.follow(OTHER, 1.0)
    database.follow(ROUND, 0.0)
    assert database.followed() == [OTHER, ROUND]
    database.add_records(ROUND, [kept(1)])
    database.unfollow(ROUND)
    assert database.followed() == [OTHER]
    assert database.records(ROUND) == [kept(1)]


def test_the_newest_checkpoint_of_a_log_is_remembered_before_anybody_sees_it(database: Database) -> None:
    database.follow(ROUND, 1.0)
    assert database.note(ROUND) is None
    database.sign_note(ROUND, b"first")
    database.sign_note(ROUND, b"second")
    assert database.note(ROUND) == b"second"
    assert database.note(OTHER) is None


def test_a_checkpoint_survives_that_its_round_is_left_and_followed_again(database: Database) -> None:
    database.follow(ROUND, 1.0)
    database.sign_note(ROUND, b"signed")
    database.unfollow(ROUND)
    assert database.note(ROUND) == b"signed"
    database.follow(ROUND, 2.0)
    assert database.note(ROUND) == b"signed"
    assert database.followed() == [ROUND]


def test_a_checkpoint_of_a_round_that_is_not_followed_is_kept_too(database: Database) -> None:
    database.sign_note(ROUND, b"signed")
    assert database.note(ROUND) == b"signed"
    assert database.followed() == []


def test_own_contributions_are_kept_as_they_were_made(database: Database) -> None:
    database.offer(b"2" * 32, ROUND, b"e2", Path("/c/2"), 2.0)
    database.offer(b"1" * 32, OTHER, b"e1", Path("/c/1"), 1.0)
    database.offer(b"2" * 32, ROUND, b"changed", Path("/c/3"), 3.0)
    two = Offer(b"2" * 32, ROUND, b"e2", Path("/c/2"), withdrawn=False, made_at=2.0)
    assert database.offers(ROUND) == [two]
    assert [one.id for one in database.offers()] == [b"1" * 32, b"2" * 32]
    database.withdraw(b"2" * 32)
    assert [one.withdrawn for one in database.offers()] == [False, True]


def test_verdicts_jobs_folders_and_facts_hold_what_was_said_last(database: Database) -> None:
    database.judge(ROUND, Verdict(b"1" * 32, "norm", "too large"))
    database.judge(ROUND, Verdict(b"1" * 32, None, None))
    assert database.verdicts(ROUND) == {b"1" * 32: Verdict(b"1" * 32, None, None)}
    assert database.verdicts(OTHER) == {}

    assert database.job("merge/1") is None
    database.put_job(job(State.RUNNING), 1.0)
    database.put_job(job(State.WAITING, "merge/2"), 2.0)
    database.put_job(job(State.DONE), 3.0)
    assert database.job("merge/1") == job(State.DONE)
    assert database.jobs(State.DONE, State.WAITING) == [job(State.WAITING, "merge/2"), job(State.DONE)]
    assert database.jobs(State.RUNNING) == []

    assert database.fact("paused") is None
    database.put_fact("paused", "yes")
    database.put_fact("paused", "no")
    assert database.fact("paused") == "no"


def test_folders_that_are_served_are_known_with_what_their_manifest_is_of(database: Database) -> None:
    database.keep_folder(b"m" * 32, Checkpoint(), Path("/models/a"))
    database.keep_folder(b"m" * 32, Checkpoint(), Path("/models/b"))
    database.keep_folder(b"d" * 32, Delta(b"b" * 32), Path("/deltas/a"))
    assert database.folders() == {
        b"m" * 32: (Path("/models/b"), Checkpoint()),
        b"d" * 32: (Path("/deltas/a"), Delta(b"b" * 32)),
    }
    database.drop_folder(b"m" * 32)
    database.drop_folder(b"m" * 32)
    assert list(database.folders()) == [b"d" * 32]


def test_everything_is_there_again_after_closing(path: Path) -> None:
    with closing(Database(path)) as database:
        database.add_records(ROUND, [kept(1)])
        database.put_job(job(State.RUNNING), 1.0)
        database.close()
    with closing(Database(path)) as database:
        assert database.records(ROUND) == [kept(1)]
        assert database.jobs(State.RUNNING) == [job(State.RUNNING)]


def test_threads_may_write_at_the_same_time(database: Database) -> None:
    together = threading.Barrier(4)

    def write(worker: int) -> None:
        together.wait()
        for number in range(20):
            database.add_records(ROUND, [kept(worker * 100 + number)])
            database.records(ROUND)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    ids = [int.from_bytes(one.id) for one in database.records(ROUND)]
    assert len(ids) == 80
    for worker in range(4):
        assert [one for one in ids if one // 100 == worker] == [worker * 100 + number for number in range(20)]


def test_a_write_that_fails_leaves_nothing_behind_and_the_next_one_works(database: Database) -> None:
    unfit = Kept(b"x" * 32, None, 1.0)  # type: ignore[arg-type]
    unspeakable = Kept(b"y" * 32, object(), 1.0)  # type: ignore[arg-type]
    database.add_records(ROUND, [kept(1)])
    with pytest.raises(MachineFault):
        database.add_records(ROUND, [kept(2), unspeakable])
    assert database.add_records(ROUND, [unfit]) == 0, "SQLite ignores what has no envelope"
    assert database.records(ROUND) == [kept(1)]
    database.add_records(ROUND, [kept(3)])
    assert database.records(ROUND) == [kept(1), kept(3)]


# Processes that die, and disks that are full

CHILD = [sys.executable, "-m", "tests.node.database_writer"]


@contextmanager
def writer(path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [*CHILD, str(path), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def acknowledged(process: "subprocess.Popen[str]", count: int) -> int:
    """How many records the child says are kept, once that are at least so many."""
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= count:
            return int(line)
    raise AssertionError("the child ended before")


@pytest.mark.parametrize("after", [1, 2, 37])
def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(path: Path, after: int) -> None:
    acknowledgements = 0
    for _ in range(2):
        with writer(path) as process:
            acknowledged(process, acknowledgements + after)
            process.send_signal(signal.SIGKILL)
            assert process.stdout is not None
            rest = [line for line in process.stdout.read().split("\n") if line]
            process.wait()
        with closing(Database(path)) as database:
            found = database.records(ROUND)
        acknowledgements = max([acknowledgements + after, *map(int, rest)])
        assert len(found) >= acknowledgements
        assert found == [kept(number) for number in range(len(found))], "in order, and each of them whole"
        acknowledgements = len(found)


def test_a_process_that_dies_in_the_middle_of_a_write_leaves_nothing_of_it(path: Path) -> None:
    with writer(path, "--half") as process:
        assert process.wait() == -signal.SIGKILL
    with closing(Database(path)) as database:
        assert database.records(ROUND) == [kept(0)]
        assert database.add_records(ROUND, [kept(1)]) == 1


def test_a_process_that_dies_while_it_makes_the_database_leaves_one_that_can_be_opened(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as half:
        half.execute("PRAGMA journal_mode = WAL")  # what happens before the tables are made
    with closing(Database(path)) as database:
        assert database.add_records(ROUND, [kept(1)]) == 1


def test_a_full_disk_is_said_so_and_when_there_is_room_again_the_node_goes_on(path: Path) -> None:
    with writer(path, "--full") as process:
        assert process.stdout is not None
        said = process.stdout.read().splitlines()
        assert process.wait() == 0
    assert said[0].startswith("MachineFault the database")
    assert said[1] == "again"
    with closing(Database(path)) as database:
        found = database.records(ROUND)
    assert len(found) == int(said[2])
    assert found[-1].id == kept(10**6).id


# Other databases, other processes


def test_only_one_process_has_a_database_open(path: Path) -> None:
    with writer(path) as process:
        acknowledged(process, 1)
        with pytest.raises(BusyError, match="another process"):
            Database(path, wait_seconds=0.05)
        process.kill()
        process.wait()
    Database(path).close()


def test_a_second_one_waits_for_the_first_one_to_end(path: Path) -> None:
    first = Database(path)
    first.add_records(ROUND, [kept(1)])
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(Database, path)
        first.add_records(ROUND, [kept(2)])
        assert not second.done()
        first.close()
        with closing(second.result(timeout=30)) as database:
            assert database.records(ROUND) == [kept(1), kept(2)]


def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(path: Path) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    for _ in range(2):
        with pytest.raises(UserError, match=r"newer program \(version 2\); update"):
            Database(path)
    with closing(sqlite3.connect(path)) as newer:
        assert newer.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)


@pytest.mark.parametrize("data", [b"this is no database " * 100, os.urandom(8192), b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(MachineFault, match=str(path)):
        Database(path)
    assert path.read_bytes() == data


def test_a_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE records (song TEXT)")
    with pytest.raises(MachineFault, match=str(path)):
        Database(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("records",)]


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(MachineFault, match=r"no/node\.db"):
        Database(tmp_path / "no" / "node.db")


def test_others_on_the_machine_cannot_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(Database(path)) as database:
            database.add_records(ROUND, [kept(1)])
            modes = {found.name: found.stat().st_mode & 0o777 for found in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert path.name in modes
    assert set(modes.values()) == {0o600}
