"""Settings: where each value came from, and what is said about those that are not accepted."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.config import MAX_CONFIG_BYTES, TABLES, Config, load
from node.errors import UserError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(folder: Path, text: str | bytes, words: str = "") -> None:
    path = written(folder, text)
    with pytest.raises(UserError, match=words or None) as caught:
        load(path, {})
    said = str(caught.value)
    assert str(path) in said
    assert len(said) < 1000
    assert said.isprintable()


# Where a value comes from


def test_without_a_file_everything_is_a_default(tmp_path: Path) -> None:
    config = load(tmp_path / "none.toml", {"PATH": "/bin", "UMM_HOME": "/x"})
    assert config == Config()
    assert {origin for _, _, origin in config.items()} == {"default"}


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, '[limits]\nmemory = "1GB"\nthreads = 1\nupload = 5\n')
    environment = {"UMM_LIMITS_MEMORY": "2GB", "UMM_LIMITS_THREADS": "2"}
    config = load(path, environment, {"limits.memory": "3GB", "limits.job_seconds": None})
    limits = config.limits
    assert (limits.memory, limits.threads, limits.upload, limits.job_seconds) == (3 * 10**9, 2, 5, 24 * 3600)
    assert config.origin("limits.memory") == "--memory"
    assert config.origin("limits.threads") == "UMM_LIMITS_THREADS"
    assert config.origin("limits.upload") == str(path)
    assert config.origin("limits.job_seconds") == "default"


def test_every_setting_is_listed_with_its_value_and_its_origin(tmp_path: Path) -> None:
    path = written(tmp_path, "[network]\nclient = true\n")
    listed = {name: (value, origin) for name, value, origin in load(path, {}).items()}
    assert set(listed) == {f"{table}.{key}" for table, keys in TABLES.items() for key in keys}
    assert listed["network.client"] == (True, str(path))
    assert listed["network.nat"] == (True, "default")


def test_a_list_in_the_environment_has_commas_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    environment = {"UMM_NETWORK_BOOTSTRAP": " /dns4/a/tcp/1 , /dns4/b/tcp/2,", "UMM_NETWORK_LISTEN": ""}
    network = load(tmp_path / "none", environment).network
    assert network.bootstrap == ("/dns4/a/tcp/1", "/dns4/b/tcp/2")
    assert network.listen == ()


@pytest.mark.parametrize(("text", "value"), [("true", True), ("FALSE", False), ("1", True), ("0", False)])
def test_yes_and_no_in_the_environment(tmp_path: Path, text: str, value: bool) -> None:
    assert load(tmp_path / "none", {"UMM_NETWORK_CLIENT": text}).network.client is value


def test_a_flag_keeps_the_dashes_of_its_setting(tmp_path: Path) -> None:
    config = load(tmp_path / "none", {}, {"network.exchange_listen": "127.0.0.1:1"})
    assert config.origin("network.exchange_listen") == "--exchange-listen"


VALUES: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(0, 2**60),
    str: st.from_regex(r"[a-z0-9:./-]{0,20}", fullmatch=True),
    tuple: st.lists(st.from_regex(r"[a-z0-9/.-]{1,20}", fullmatch=True), max_size=3).map(tuple),
}

ALL = {name: VALUES[type(value)] for name, value, _ in Config().items()}


@settings(max_examples=50)
@given(st.sampled_from(sorted(ALL)).flatmap(lambda name: st.tuples(st.just(name), ALL[name])))
def test_every_setting_can_be_given_in_all_three_ways(tmp_path_factory: pytest.TempPathFactory, one: Any) -> None:
    name, value = one
    table, _, key = name.partition(".")
    in_toml = str(list(value) if isinstance(value, tuple) else value if isinstance(value, int) else repr(value))
    in_toml = in_toml.lower() if isinstance(value, bool) else in_toml
    path = written(tmp_path_factory.mktemp("c"), f"[{table}]\n{key} = {in_toml}\n")
    spelled = ",".join(value) if isinstance(value, tuple) else str(value)
    for config in (
        load(path, {}),
        load(path.parent / "none", {f"UMM_{table}_{key}".upper(): spelled}),
        load(path.parent / "none", {}, {name: value}),
    ):
        assert getattr(getattr(config, table), key) == value
        assert config.origin(name) != "default"


# What is not accepted


def test_an_unknown_name_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    refused(tmp_path, "[netwrok]\n", "did you mean network")
    refused(tmp_path, "[network]\nlistn = []\n", "did you mean listen")
    refused(tmp_path, "[zzz]\n", "there are: control, limits, network, storage")
    refused(tmp_path, "[storage]\nzzz = 1\n", "there are: quota")
    refused(tmp_path, "listen = []\n", "there is no table")
    with pytest.raises(UserError, match="UMM_NETWORK_LISTN' sets nothing; did you mean UMM_NETWORK_LISTEN"):
        load(tmp_path / "none", {"UMM_NETWORK_LISTN": "x"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("network = 1\n", "write .network. and its settings below"),
        ("[[network]]\nclient = true\n", "is a table"),
        ("[network]\nclient = 1\n", "is true or false"),
        ('[network]\nclient = "yes"\n', "is true or false"),
        ('[network]\nlisten = "x"\n', "is a list of texts"),
        ("[network]\nlisten = [1]\n", "is a list of texts"),
        ("[network]\nlisten = [[]]\n", "is a list of texts"),
        ("[network]\nexchange_listen = 7401\n", "is text"),
        ("[storage]\nquota = true\n", "a number"),
        ("[storage]\nquota = 1.5\n", "a number"),
        ("[storage]\nquota = -1\n", "0 to"),
        ('[storage]\nquota = "lots"\n', "a size such as 500MB"),
        ("[storage]\nquota = 2026-01-01\n", "a number"),
        ("[storage]\nquota = nan\n", "a number"),
        ("[limits.deep]\nx = 1\n", "no setting"),
        ("[limits]\nmemory = 1\nmemory = 2\n", "not TOML"),
        ("[limits\n", "not TOML"),
        ('[limits]\nmemory = """\n', "not TOML"),
        (b"\xff\xfe[limits]", "not TOML"),
        (b"\0", "not TOML"),
    ],
)
def test_a_value_that_is_not_accepted_is_refused_where_it_stands(tmp_path: Path, text: str | bytes, words: str) -> None:
    refused(tmp_path, text, words)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 20_000,
        "x = " + "{a=" * 10_000,
        "[" + "a." * 10_000 + "a]",
        "[storage]\nquota = " + "9" * 20_000,
        "[storage]\nquota = 0x" + "f" * 20_000,
        "[network]\nlisten = [0x" + "f" * 20_000 + "]",
        "[storage]\nquota = '" + "9" * 20_000 + "'",
        "[control]\nlisten = [" + "'x'," * 5_000 + "]",
        "[" + "a" * 20_000 + "]",
        '["\\u001b[31mred\\u0007"]\n',
        '[network]\n"\\u001b[31mred" = 1\n',
        '[network]\nclient = "\\u001b[31m\\u202ered"\n',
        "#" * (MAX_CONFIG_BYTES + 1),
    ],
    ids=lambda text: text[:24].encode("unicode_escape").decode(),
)
def test_a_hostile_file_is_refused_in_a_few_printable_words(tmp_path: Path, text: str) -> None:
    assert len(text) < MAX_CONFIG_BYTES or text.startswith("##")
    refused(tmp_path, text)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_any_bytes_are_settings_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = written(tmp_path_factory.getbasetemp(), data)
    said = ""
    try:
        load(path, {})
    except UserError as error:
        said = str(error)
    assert said.isprintable()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("UMM_NETWORK_CLIENT", "maybe"),
        ("UMM_STORAGE_QUOTA", "lots"),
        ("UMM_STORAGE_QUOTA", "-5"),
        ("UMM_LIMITS_THREADS", ""),
        ("UMM_NETWORK_CLIENT", "\x1b[31m" * 500),
        ("UMM_STORAGE_QUOTA", "\x1b[31m" * 500),
        ("UMM_NETWORK_\x1b[31m", "x"),
    ],
)
def test_a_variable_that_is_not_accepted_is_named(tmp_path: Path, variable: str, text: str) -> None:
    with pytest.raises(UserError, match="UMM_") as caught:
        load(tmp_path / "none", {variable: text})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
