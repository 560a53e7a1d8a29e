"""Commitments hide exactly one contribution, and only its author's."""

from dataclasses import replace

import pytest

from tests.protocol.keys import key
from tests.protocol.records.examples import OFFER, commitment, contribution, digest


@pytest.mark.must("REC-19")
def test_a_commitment_binds_every_word_of_the_contribution() -> None:
    offer = OFFER.record
    others = [
        replace(offer, author=key(22).public.point),
        replace(offer, round=digest("another round")),
        replace(offer, manifest=digest("another manifest")),
        replace(offer, licence="MIT"),
        replace(offer, salt=digest("another salt")),
    ]
    assert len({made.commitment_digest for made in [offer, *others]}) == 6


@pytest.mark.must("REC-19")
def test_the_same_content_under_two_salts_hides_behind_two_digests() -> None:
    one, other = contribution(21, salt=digest("one")), contribution(21, salt=digest("other"))
    assert commitment(one, 21).record.digest != commitment(other, 21).record.digest
