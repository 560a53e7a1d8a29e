"""The log itself: once each, only growing, rebuilt only into what was signed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ForgedError, TooLargeError, UsageError
from protocol.log import Growth, Inclusion, Log, record_log
from protocol.merkle import sha256_hash
from tests.protocol.log.stories import IDS, KEY, OTHER_IDS, STRANGER, TRUSTED, log, signed


@pytest.mark.must("LOG-1")
def test_a_record_is_in_the_log_once() -> None:
    kept = log(3)
    assert kept.append(IDS[1]) == 1
    assert kept.append(IDS[3]) == 3
    assert kept.append(IDS[3]) == 3
    assert (len(kept), kept.ids) == (4, tuple(IDS[:4]))
    assert IDS[3] in kept
    assert IDS[4] not in kept
    assert kept.checkpoint() == log(4).checkpoint()


@pytest.mark.must("LOG-1")
def test_the_log_takes_ids_only_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError):
        log(3).append(IDS[3][:31])
    monkeypatch.setattr(record_log, "MAX_RECORDS", 3)
    full = log(3)
    with pytest.raises(TooLargeError):
        full.append(IDS[3])
    assert full.append(IDS[2]) == 2


@pytest.mark.must("LOG-7")
def test_a_log_is_rebuilt_into_what_was_signed_or_not_at_all() -> None:
    for size in range(8):
        assert Log(TRUSTED, IDS, signed(size)).checkpoint() == log().checkpoint()
    for ids in (IDS[:3], [*IDS[1:], IDS[0]], OTHER_IDS, []):
        with pytest.raises(ForgedError, match="not those of the checkpoint signed at 4"):
            Log(TRUSTED, ids, signed(4))
    with pytest.raises(ForgedError):
        Log(TRUSTED, IDS, log(4).sign(KEY).replace(b"umm/round", b"umm/Round"))


@pytest.mark.must("LOG-7")
def test_a_log_proves_nothing_about_another_story() -> None:
    kept = log()
    for ask in (lambda: kept.inclusion(IDS[0], signed(5, OTHER_IDS)), lambda: kept.growth(2, signed(5, OTHER_IDS))):
        with pytest.raises(ForgedError):
            ask()
    with pytest.raises(ForgedError):
        log(3).fork(signed(2), signed(5))


def test_who_asks_for_an_impossible_proof_is_told_so() -> None:
    kept = log()
    for record_id, size in ((OTHER_IDS[2], 7), (IDS[5], 5)):
        with pytest.raises(UsageError):
            kept.inclusion(record_id, signed(size))
    with pytest.raises(UsageError):
        kept.growth(6, signed(5))
    with pytest.raises(UsageError):
        kept.checkpoint(8)


@pytest.mark.must("LOG-6")
def test_a_copy_needs_no_private_key_and_nobody_else_can_sign() -> None:
    copy = Log(TRUSTED, IDS, signed())
    assert copy.inclusion(IDS[3], signed(5)).check(IDS[3], TRUSTED).size == 5
    with pytest.raises(UsageError):
        copy.sign(STRANGER)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 200), max_size=60), st.data())
def test_whatever_was_accepted_can_be_proven_at_every_later_checkpoint(numbers: list[int], data: st.DataObject) -> None:
    kept = Log(TRUSTED)
    notes = [kept.sign(KEY)]
    for number in numbers:
        before = len(kept)
        index = kept.append(sha256_hash(b"%d" % number))
        assert index <= before
        if data.draw(st.booleans()) and len(notes) < 4:
            notes.append(kept.sign(KEY))
    sizes = [Growth(0, (), note).check(Log(TRUSTED).checkpoint(), TRUSTED) for note in notes]
    for older, note in zip(sizes, notes[1:], strict=False):
        Growth.parse(kept.growth(older.size, note).encode()).check(older, TRUSTED)
    for index in range(sizes[-1].size):
        proof = Inclusion.parse(kept.inclusion(kept.ids[index], notes[-1]).encode())
        assert proof.index == index
        if index % 8 == 0:
            proof.check(kept.ids[index], TRUSTED)
