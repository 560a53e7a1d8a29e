"""Every fault of the corpus gets its own answer."""

from pathlib import Path

import pytest

from protocol.modelsigning import Bundle, Statement
from tests.protocol.modelsigning.faults import GOOD, HOSTILE, Fault, bundles, files
from tests.protocol.modelsigning.folders import KEY


def opened(data: bytes) -> Statement:
    bundle = Bundle.parse(data)
    bundle.verify(KEY.public)
    return Statement.parse(bundle.payload)


def test_the_bundle_that_the_faults_are_made_from_is_accepted() -> None:
    assert [r.name for r in opened(GOOD.encode()).resources] == ["a.txt", "b/c.txt"]


@pytest.mark.parametrize("name", bundles())
@pytest.mark.must("OMS-1", "OMS-2", "OMS-3", "OMS-4", "OMS-5", "OMS-6", "OMS-7", "OMS-8", "OMS-9", "OMS-10", "OMS-11")
@pytest.mark.must("OMS-12", "OMS-13")
def test_a_faulty_bundle_is_refused_with_its_own_error(name: str) -> None:
    fault: Fault = bundles()[name]
    with pytest.raises(fault[1]) as refused:
        opened((HOSTILE / "bundle" / f"{name}.json").read_bytes())
    assert type(refused.value) is fault[1]
    assert fault[2] in str(refused.value)


def test_the_corpus_on_disk_is_the_one_described() -> None:
    expected = files()
    found = {path for folder in ("bundle", "claims") for path in (HOSTILE / folder).iterdir()}
    assert found == set(expected)
    assert [str(path) for path, data in expected.items() if Path(path).read_bytes() != data] == []
