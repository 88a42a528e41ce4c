"""Configuration files as somebody else might leave them in a folder: generated, and kept ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from chatport.errors import ConfigurationError
from chatport.setup.config import _ALIAS_OPTIONS, _TOP_KEYS, PROVIDER_KEYS, Config

from .configuration import CANARY, check_configuration

FILES = sorted(Path(__file__).with_name("configurations").iterdir())
EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("folder")
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.chdir(folder)
        yield


# --- texts of TOML, by its own grammar

NAMES = st.sampled_from(["deepseek", "openai", "qwen", "groq", "compatible", "x", "\x1b[31m", "a" * 300, "é", "\u202e"])
WORDS = st.sampled_from(
    ["https://evil.example", "http://127.0.0.1:1", "p.py", "/etc/passwd", "deepseek", "compatible", "deepseek:m", "x:m",
     "allow", "deny", "follow", "httpx", "EU", "DEEPSEEK_API_KEY", "AWS_SECRET_ACCESS_KEY", "\x1b]0;", "high", "*:a"]
)  # fmt: skip
NUMBERS = st.sampled_from(["0", "1", "-1", "1.5", "1e400", "nan", "true", "9" * 400, "0x" + "f" * 4000, "2026-01-01"])


def quoted(text: str) -> str:
    return '"' + "".join(c if c.isalnum() or c in "-_:/.*" else f"\\U{ord(c):08x}" for c in text) + '"'


SCALARS = WORDS.map(quoted) | NUMBERS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(["targets", "target", "when", "weight", "match", "input", "extra"]), inner)
        .map(lambda items: "{ " + ", ".join(f"{key} = {value}" for key, value in items.items()) + " }")
    ),
    max_leaves=5,
)  # fmt: skip
KEYS = st.sampled_from(
    [quoted(CANARY), f"{{ file = {quoted(CANARY)} }}", f"{{ command = [{quoted(CANARY)}] }}",
     f'{{ keyring = {quoted(CANARY)}, user = "a" }}', f"{{ env = {quoted(CANARY)} }}", f"[{quoted(CANARY)}]",
     '{ env = "DEEPSEEK_API_KEY" }', '{ env = "OPENAI_API_KEY" }', '{ env = "AWS_SECRET_ACCESS_KEY" }',
     '{ command = ["touch", "ran"] }', '{ file = "/etc/hostname" }']
)  # fmt: skip


def lines_of(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.dictionaries(keys, values, max_size=3)
    return pairs.map(lambda table: "".join(f"{quoted(key)} = {value}\n" for key, value in table.items()))


OF_PROVIDER = lines_of(st.sampled_from([*PROVIDER_KEYS, "region", "address", "endpoint", "hosts"]), VALUES)
OF_KEY = lines_of(st.sampled_from(["api_key", "apikey", "API_KEY", "token"]), KEYS)
PROVIDER = st.builds(lambda name, other, key: f"[providers.{quoted(name)}]\n{other}{key}", NAMES, OF_PROVIDER, OF_KEY)
HARMLESS_PROVIDER = st.sampled_from(
    ['[providers.deepseek]\napi_key = { env = "DEEPSEEK_API_KEY" }\n', "[providers.groq]\ntimeouts = { total = 1 }\n"]
)
ALIAS = st.builds(
    lambda name, rest: f"[aliases.{quoted(name)}]\n{rest}", NAMES, lines_of(st.sampled_from(_ALIAS_OPTIONS), VALUES)
)
MODEL = st.builds(
    lambda name, rest: f"[models.{quoted(name + ':m')}]\n{rest}",
    NAMES,
    lines_of(st.sampled_from(["context_tokens", "prices", "retired", "quirks", "input"]), VALUES),
)
TABLE = st.builds(
    lambda name, rest: f"[{name}]\n{rest}",
    st.sampled_from(["timeouts", "retry", "policy", "budget", "limits", "pacing", "breaker", "hedge"]),
    lines_of(st.sampled_from(["total", "attempts", "unknown", "usd", "rates", "deny_models", "allow_regions"]), VALUES),
)
TOPS = lines_of(st.sampled_from([*_TOP_KEYS, "alias"]), VALUES)
PIECES = st.one_of(PROVIDER, HARMLESS_PROVIDER, ALIAS, MODEL, TABLE)
FILES_OF_TOML = st.builds(lambda top, pieces: top + "".join(pieces), TOPS | st.just(""), st.lists(PIECES, max_size=4))


@given(FILES_OF_TOML)
@EXAMPLES
def test_a_file_by_the_grammar(text: str) -> None:
    check_configuration(text.encode())
    assert not Path("ran").exists()


@given(
    st.binary(max_size=200) | FILES_OF_TOML.map(str.encode).flatmap(lambda data: st.sampled_from([data[:-3], data[3:]]))
)
@example(b"x = " + b"[" * 10_000)
@example(b".".join([b"a"] * 10_000) + b" = 1")
@EXAMPLES
def test_a_file_of_anything(data: bytes) -> None:
    check_configuration(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[providers.deepseek]\nbase_url = "https://evil.example"\napi_key = { env = "DEEPSEEK_API_KEY" }', "evil"),
        ('[providers.deepseek]\napi_key = { env = "AWS_SECRET_ACCESS_KEY" }', "AWS_SECRET_ACCESS_KEY"),
        ('[providers.deepseek]\npatches = ["p.py"]', "p.py"),
        ('[providers.deepseek]\napi_key = { command = ["true"] }', "subprocess.Popen"),
        ('[providers.deepseek]\napi_key = { file = "a.key" }', "provider = 'deepseek'"),
    ],
)
def test_a_file_that_had_its_way_would_be_noticed(text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The properties themselves: with the list of what is allowed switched off, each of them finds its own."""
    check_configuration(b"")
    for name in ("p.py", "a.key"):
        Path(name).write_text("provider = 'deepseek'\n")
        Path(name).chmod(0o600)
    monkeypatch.setattr("chatport.setup.trust.refused_keys", lambda tables: [])
    monkeypatch.setattr("chatport.setup.trust.harmless", lambda tables, own: tables)
    with pytest.raises(AssertionError, match=words):
        check_configuration(text.encode())


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_a_kept_file(path: Path) -> None:
    """`good-` ones are read, `bad-` ones are refused: a fuzzer begins with both."""
    outcome = check_configuration(path.read_bytes())
    assert isinstance(outcome, Config if path.name.startswith("good-") else ConfigurationError)
