"""The specification's own test vectors; see ``published/README.md``."""

import base64
import json
from pathlib import Path

import pytest

from protocol.errors import ForgedError, MalformedError
from protocol.modelsigning import Bundle, Statement
from tests.protocol.modelsigning.folders import KEY

PUBLISHED = Path(__file__).parent / "published"


def published(kind: str) -> list[Path]:
    return sorted((PUBLISHED / kind).glob("*.json"))


@pytest.mark.parametrize("path", published("valid"), ids=lambda path: path.stem)
def test_the_statement_of_a_valid_vector_is_read(path: Path) -> None:
    payload = base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"])
    statement = Statement.parse(payload)
    assert [resource.name for resource in statement.resources] == ["signme-1", "signme-2"]
    assert "ignore-me" in statement.ignored


def test_the_valid_vector_by_key_is_read_and_not_taken_for_ours() -> None:
    bundle = Bundle.parse((PUBLISHED / "valid" / "key.bundle.json").read_bytes())
    assert Statement.parse(bundle.payload).model == "model"
    with pytest.raises(ForgedError, match="another key"):
        bundle.verify(KEY.public)


@pytest.mark.must("OMS-2")
@pytest.mark.parametrize(("name", "answer"), [("certificate", "with a certificate"), ("sigstore", "control character")])
def test_the_valid_vectors_by_certificate_are_refused(name: str, answer: str) -> None:
    with pytest.raises(MalformedError, match=answer):  # a log entry of Sigstore holds line feeds
        Bundle.parse((PUBLISHED / "valid" / f"{name}.bundle.json").read_bytes())


@pytest.mark.parametrize("path", published("invalid"), ids=lambda path: path.stem)
def test_an_invalid_vector_is_refused(path: Path) -> None:
    with pytest.raises(MalformedError):
        Bundle.parse(path.read_bytes())


@pytest.mark.must("OMS-7")
@pytest.mark.parametrize("path", published("invalid-payload"), ids=lambda path: path.stem)
def test_a_vector_with_an_invalid_statement_is_refused(path: Path) -> None:
    payload = base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"])
    with pytest.raises(MalformedError, match="not a model signature"):
        Statement.parse(payload)
