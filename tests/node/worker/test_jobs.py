"""Orders and answers: what is read, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.worker.jobs import (
    JOBS,
    MAX_ONLY,
    MAX_ORDER_BYTES,
    Check,
    Decode,
    Encode,
    JobError,
    Merge,
    Order,
    read_answer,
    read_job,
    read_order,
    write_order,
)
from node.worker.messages import (
    MAX_LINE_BYTES,
    MAX_MESSAGE_CHARACTERS,
    Fault,
    FaultKind,
    Message,
    Progress,
    Result,
    read_message,
    write_message,
)

CHECK = {"job": "check", "base": "/b", "contribution": "/c", "kind": "delta"}
MERGE = {"job": "merge", "recipe": "{}", "out": "/o"}
DIGEST = "0f" * 32


def test_jobs_are_read_with_their_defaults() -> None:
    assert read_job(CHECK) == Check(base=Path("/b"), contribution=Path("/c"), kind="delta", max_norm=None, threads=0)
    assert read_job({**CHECK, "max_norm": "12.5", "threads": 2}).threads == 2  # type: ignore[union-attr]
    assert read_job(MERGE) == Merge(recipe="{}", out=Path("/o"))
    only = read_job({"job": "merge", "recipe": "{}", "only": ["a", "b"], "chunks": True})
    assert only == Merge(recipe="{}", only=frozenset("ab"), chunks=True)
    encode = {"job": "encode", "base": "/b", "expert": "/e", "out": "/o"}
    assert read_job(encode) == Encode(base=Path("/b"), expert=Path("/e"), out=Path("/o"))
    decode = {"job": "decode", "base": "/b", "delta": "/d", "out": "/o", "only": None}
    assert read_job(decode) == Decode(base=Path("/b"), delta=Path("/d"), out=Path("/o"))


WRONG_JOBS: dict[str, tuple[Any, str]] = {
    "no object": ([], "a job is a JSON object, not list"),
    "no job": ({}, "the job None is unknown; there are check, encode, decode, merge"),
    "unknown job": ({"job": "train"}, "the job 'train' is unknown"),
    "unhashable job": ({"job": []}, "is unknown"),
    "field missing": ({"job": "check", "base": "/b"}, "the job check lacks the field contribution"),
    "field too many": ({**CHECK, "url": "x"}, "the job check has no field 'url'; it has base, contribution"),
    "relative path": ({**CHECK, "base": "b"}, "check.base is an absolute path, not 'b'"),
    "path with nul": ({**CHECK, "base": "/b\0"}, "check.base is an absolute path"),
    "path too long": ({**CHECK, "base": "/" + "b" * 5000}, "check.base is text of 1 to 4096 characters"),
    "number for a path": ({**CHECK, "base": 1}, "check.base is text"),
    "other kind": ({**CHECK, "kind": "distributions"}, "check.kind is one of adapter, checkpoint, delta"),
    "kind of another type": ({**CHECK, "kind": ["delta"]}, "check.kind is one of"),
    "norm as a number": ({**CHECK, "max_norm": 1.5}, "check.max_norm is a decimal as text"),
    "negative norm": ({**CHECK, "max_norm": "-1"}, "check.max_norm is a decimal"),
    "threads beyond": ({**CHECK, "threads": 10**9}, "check.threads is a whole number up to 1024"),
    "threads true": ({**CHECK, "threads": True}, "check.threads is a whole number"),
    "neither out nor only": ({"job": "merge", "recipe": "{}"}, "a merge has either out"),
    "both out and only": ({**MERGE, "only": ["a"]}, "a merge has either out"),
    "chunks of all": ({**MERGE, "chunks": True}, "chunks are told of the tensors in only"),
    "empty only": ({"job": "merge", "recipe": "{}", "only": []}, f"merge.only is a list of 1 to {MAX_ONLY} names"),
    "only twice": ({"job": "merge", "recipe": "{}", "only": ["a", "a"]}, "none twice"),
    "only of numbers": ({"job": "merge", "recipe": "{}", "only": [1]}, "merge.only is text"),
    "too many": ({"job": "merge", "recipe": "{}", "only": list(map(str, range(MAX_ONLY + 1)))}, "merge.only is a list"),
    "recipe too long": ({**MERGE, "recipe": " " * (2**20 + 1)}, "merge.recipe is text of 1 to 1048576 characters"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_JOBS)
def test_what_is_no_job_is_refused(name: str) -> None:
    job, reason = WRONG_JOBS[name]
    with pytest.raises(JobError, match=reason):
        read_job(job)


def test_an_order_comes_through() -> None:
    assert read_order(write_order(CHECK, 10**9, 60)) == Order(read_job(CHECK), 10**9, 60)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"{}\n", b"[]\n", b"{\n", b"\xff\n", b"[" * 100_000 + b"\n", b'{"job": {}}\n',
        json.dumps({"job": CHECK, "memory_bytes": 1, "cpu_seconds": 1}).encode(),
        json.dumps({"job": CHECK, "memory_bytes": -1, "cpu_seconds": 1}).encode() + b"\n",
        json.dumps({"job": CHECK, "memory_bytes": 1.5, "cpu_seconds": 1}).encode() + b"\n",
        json.dumps({"job": CHECK, "memory_bytes": 1, "cpu_seconds": 1, "x": 1}).encode() + b"\n",
        b" " * MAX_ORDER_BYTES + b"\n",
    ],
    ids=lambda line: repr(line[:30]),
)  # fmt: skip
def test_what_is_no_order_is_refused(line: bytes) -> None:
    with pytest.raises(JobError):
        read_order(line)


def test_a_job_too_long_to_be_read_is_not_sent() -> None:
    with pytest.raises(JobError, match=f"the limit is {MAX_ORDER_BYTES}"):
        write_order({"job": "merge", "recipe": "x" * MAX_ORDER_BYTES}, 1, 1)


# -- answers ---------------------------------------------------------------------------------------------------

ANSWERS: dict[str, dict[str, Any]] = {
    "check": {"ok": False, "fault": "norm", "reason": "too far", "norm": None},
    "encode": {"norm": "1.25", "raw_bytes": 10, "packed_bytes": 3},
    "decode": {},
    "merge": {"root": DIGEST, "tensors": {"a": DIGEST}, "files": {}, "chunks": {"a": DIGEST * 2, "empty": ""}},
}
WRONG_ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("check", {"ok": 1}),
    ("check", {"fault": "ugly"}),
    ("check", {"reason": "x" * 501}),
    ("check", {"norm": "1e5"}),
    ("check", {"more": 1}),
    ("encode", {"norm": None}),
    ("encode", {"raw_bytes": -1}),
    ("encode", {"packed_bytes": True}),
    ("decode", {"x": 1}),
    ("merge", {"root": DIGEST.upper()}),
    ("merge", {"root": DIGEST[:-2]}),
    ("merge", {"root": 5}),
    ("merge", {"tensors": {"a": "zz"}}),
    ("merge", {"tensors": []}),
    ("merge", {"chunks": {"a": "0f" * 31}}),
]


@pytest.mark.parametrize("name", JOBS)
def test_answers_come_through(name: str) -> None:
    message = read_message(write_message(Result(ANSWERS[name])))
    assert isinstance(message, Result)
    assert read_answer(JOBS[name], message.answer) == ANSWERS[name]


@pytest.mark.parametrize(("name", "change"), WRONG_ANSWERS, ids=str)
def test_answers_of_another_form_are_refused(name: str, change: dict[str, Any]) -> None:
    with pytest.raises(JobError, match=f"{name}"):
        read_answer(JOBS[name], {**ANSWERS[name], **change})


# -- messages --------------------------------------------------------------------------------------------------


@given(
    st.one_of(
        st.builds(Progress, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.just("merge")),
        st.builds(Fault, st.sampled_from(FaultKind), st.from_regex(r"[a-zé ]{0,80}[a-z]", fullmatch=True)),
    )
)
def test_messages_come_through(message: Message) -> None:
    read = read_message(write_message(message))
    assert read == message if isinstance(message, Progress) else isinstance(read, Fault)


def test_a_fault_is_one_line_that_steers_no_terminal() -> None:
    text = "a\n  \x1b[2Jb\u202e\ud800\n" + "x" * 10_000
    read = read_message(write_message(Fault(FaultKind.INPUT, text)))
    assert isinstance(read, Fault)
    assert read.message.startswith("a; ?[2Jb??; xxx")
    assert len(read.message) == MAX_MESSAGE_CHARACTERS


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"Loading shards...\n", b"{}\n", b'{"result": []}\n', b'{"result": {"a": 1.5}}\n',
        b'{"result": {}, "fault": {}}\n', b'{"progress": {"done": 1, "total": 1}}\n', b'{"news": {}}\n',
        b'{"progress": {"done": -1, "total": 1, "what": "x"}}\n',
        b'{"progress": {"done": true, "total": 1, "what": "x"}}\n',
        b'{"progress": {"done": 1, "total": 1, "what": "' + b"x" * 41 + b'"}}\n',
        b'{"fault": {"kind": "x", "message": "y"}}\n',
        b'{"fault": {"kind": [], "message": "y"}}\n', b'{"fault": {"kind": "bug", "message": 1}}\n',
        b'{"fault": {"kind": "bug", "message": "\\u001b[2J"}}\n', b'{"result": ' + b"[" * 100_000 + b"\n",
        b'{"result": {"a": [' + b"0," * 70_000 + b"0]}}\n", b'{"a": "' + b" " * MAX_LINE_BYTES + b'"}\n',
    ],
    ids=lambda line: repr(line[:40]),
)  # fmt: skip
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(JobError):
        read_message(line)


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_a_message_fail_in_another_way(line: bytes) -> None:
    with pytest.raises(JobError):
        read_message(line)
