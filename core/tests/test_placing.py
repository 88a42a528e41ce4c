"""`auth`, `query` and `allow_plain_http` of a provider's table: what is read, what is refused, and who may say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import chatport
from chatport.basics.secret import Secret
from chatport.cli import group
from chatport.errors import ConfigurationError
from chatport.provider import Auth, Provider
from chatport.setup.config import load_config
from chatport.setup.placing import KeyHeader, is_harmless, read_auth, read_query
from chatport.setup.vendors import Vendors

KEY = "sk-" + "a-key-of-this-test"
BASE = {"kind": "compatible", "base_url": "https://x.example/v1"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "of-the-user"))
    for variable in ("LLM_BASE_URL", "BASE_URL", "LLM_API_KEY", "LLM_MODEL", "LLM_PROVIDER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(**table: Any) -> chatport.Explanation:
    with chatport.Client({"providers": {"x": {**BASE, **table}}, "model": "x:m"}) as client:
        return client.explain("hello")


# --- auth


@pytest.mark.parametrize(
    ("table", "header"),
    [
        ({"header": "api-key", "scheme": ""}, KeyHeader("api-key", "")),
        ({"header": "Api-Key"}, KeyHeader("api-key", "")),
        ({"scheme": "Token"}, KeyHeader("authorization", "Token")),
        ({"header": "Authorization"}, KeyHeader("authorization", "Bearer")),
        ({"header": "Authorization", "scheme": ""}, KeyHeader("authorization", "")),
    ],
)
def test_how_a_key_may_be_sent(table: dict[str, str], header: KeyHeader) -> None:
    assert read_auth(table, "here") == header
    shown = explained(api_key=KEY, auth=table).headers
    assert shown[header.header] == f"{header.scheme} ***".strip()
    assert KEY not in str(shown)


@pytest.mark.parametrize(
    "table",
    [
        {},
        [],
        5,
        {"key": KEY},
        {"header": "api-key", "key": KEY},
        {"header": ""},
        {"header": "a b"},
        {"header": "a\r\nb"},
        {"header": 5},
        {"header": "Host"},
        {"header": "content-length"},
        {"header": "Content-Type"},
        {"scheme": "two words"},
        {"scheme": "a\n"},
        {"scheme": 5},
    ],
)
def test_what_says_nothing_of_a_header_is_refused(table: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\[providers\.x\] auth") as caught:
        load_config({"providers": {"x": {**BASE, "auth": table}}})
    assert KEY not in str(caught.value)


def test_a_text_is_the_providers_own_setting() -> None:
    config = load_config({"providers": {"x": {**BASE, "auth": "token"}}})
    assert config.providers["x"].auth is None
    assert config.providers["x"].settings == {"auth": "token"}


# --- query


@pytest.mark.parametrize(
    ("name", "value", "harmless"),
    [
        ("api-version", "2024-10-21", True),
        ("api-version", "2025-04-01-preview", True),
        ("v", "1", True),
        ("version", "v1.2", True),
        ("alt", "sse", True),
        ("key", "sse", False),
        ("code", "1", False),
        ("sig", "v1", False),
        ("X-Api-Key", "a", False),
        ("access_token", "2024-10-21", False),
        ("x", KEY, False),
        ("x", "a1b2c3", False),
        ("x", "A" * 40, False),
        ("x", "2024-10-21-preview-of-something-else", False),
    ],
)
def test_which_parts_of_a_query_may_be_seen(name: str, value: str, harmless: bool) -> None:
    assert is_harmless(name, Secret(value)) == harmless
    url = explained(query={name: value}).url
    assert url == f"https://x.example/v1/chat/completions?{name}={value if harmless else '***'}"


def test_a_reference_is_never_harmless(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("A_VERSION", "v1")
    (folder / "q").write_text(KEY)
    (folder / "q").chmod(0o600)
    query = {"v": {"env": "A_VERSION"}, "w": {"file": "q"}}
    config = load_config({"providers": {"x": {**BASE, "query": query}}})
    assert KEY not in repr(config)
    vendor = Vendors(config).provider("x")
    assert [(name, secret.reveal()) for name, secret in vendor.secret_query] == [("v", "v1"), ("w", KEY)]
    assert vendor.query == ""
    assert KEY not in repr(vendor)
    assert not Vendors(config).is_ready("x"), "a file is read off the event loop"


def test_one_that_cannot_be_read_is_an_error_that_names_it_and_explain_goes_on() -> None:
    table = {**BASE, "query": {"key": {"env": "NOT_SET_IN_THIS_TEST"}}}
    with chatport.Client({"providers": {"x": table}, "model": "x:m"}) as client:
        assert "NOT_SET" not in client.explain("hello").url
        with pytest.raises(ConfigurationError, match=r"\$NOT_SET_IN_THIS_TEST, which is not set"):
            client.chat("hello")


@pytest.mark.parametrize(
    "query",
    [
        "a=b",
        ["a"],
        {"": "a"},
        {"a b": "c"},
        {"a&b": "c"},
        {"a=": "c"},
        {"a\r\n": "c"},
        {"a": 5},
        {"a": None},
        {"a": ""},
        {"a": [KEY]},
        {"a": {"key": KEY}},
        {"a": {"env": KEY}},
        {"a": lambda: KEY},
        {"a": {"function": lambda: KEY}},
    ],
)
def test_what_no_query_can_be_is_refused(query: Any) -> None:
    with pytest.raises(ConfigurationError, match="query") as caught:
        load_config({"providers": {"x": {**BASE, "query": query}}})
    assert KEY not in str(caught.value)


def test_texts_with_what_a_url_must_not_hold_are_escaped() -> None:
    assert read_query({"a": Secret("b&c=d#é /?")}, "here")
    vendor = Vendors(load_config({"providers": {"x": {**BASE, "query": {"a": "b&c=d#é /?"}}}})).provider("x")
    assert vendor.secret_query[0][1].reveal() == "b&c=d#é /?"


def test_a_path_with_a_query_of_its_own_keeps_it() -> None:
    shown = explained(query={"v": "1", "key": KEY}, dialect={"chat_path": "/chat?mode=fast"})
    assert shown.url == "https://x.example/v1/chat?mode=fast&v=1&key=***"


# --- layers and trust


def test_another_address_inherits_neither_keys_nor_leave(folder: Path) -> None:
    own = folder / "of-the-user" / "chatport"
    own.mkdir(parents=True)
    (own / "config.toml").write_text(
        '[providers.x]\nkind = "compatible"\nbase_url = "http://box:8000/v1"\nallow_plain_http = true\n'
        f'api_key = "{KEY}"\nauth = {{ header = "api-key" }}\nquery = {{ key = "{KEY}" }}\n'
    )
    mine = load_config().providers["x"]
    assert mine.allow_plain_http
    assert (mine.auth, list(mine.query)) == (KeyHeader("api-key", ""), ["key"])
    other = load_config({"providers": {"x": {"base_url": "http://elsewhere:8000/v1"}}}).providers["x"]
    assert (other.allow_plain_http, other.auth, dict(other.query), other.api_key) == (False, None, {}, None)


def test_leave_for_plain_http_is_for_one_address() -> None:
    with pytest.raises(ConfigurationError, match="allow_plain_http is a fact of one address: give the base_url"):
        load_config({"providers": {"x": {"allow_plain_http": True}}})
    with pytest.raises(ConfigurationError, match="allow_plain_http"):
        load_config({"providers": {"x": {**BASE, "allow_plain_http": "yes"}}})


@pytest.mark.parametrize(
    "line",
    [
        'query = { key = { env = "OPENAI_API_KEY" } }',
        'query = { api-version = "2024-10-21" }',
        'auth = { header = "x-mine" }',
        "allow_plain_http = true",
        'headers = { x = "y" }',
        'api_key = { file = "key", refresh_seconds = 60 }',
    ],
)
def test_a_file_that_nobody_trusts_may_say_none_of_it(line: str, folder: Path) -> None:
    address = 'base_url = "http://box/v1"' if "plain" in line else ""
    (folder / "chatport.toml").write_text(f"[providers.openai]\n{address}\n{line}\n")
    with pytest.raises(ConfigurationError, match=f"providers.openai.{line.partition(' ')[0]}"):
        load_config()


def test_a_general_address_gets_no_query_of_another_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PROVIDER", "x")
    monkeypatch.setenv("LLM_BASE_URL", "https://other.example/v1")
    vendor = Provider("x", "X", "https://x.example/v1", auth=Auth(required=False))
    config = load_config({"providers": {"x": {"query": {"key": KEY}}}})
    with pytest.raises(ConfigurationError, match=r"LLM_BASE_URL has requests go to other\.example"):
        Vendors(config, providers=[vendor]).provider("x")
    config = load_config({"providers": {"x": {"query": {"api-version": "2024-10-21"}}}})
    assert Vendors(config, providers=[vendor]).provider("x").query == "api-version=2024-10-21", "that is no key"


# --- doctor


def test_doctor_says_that_a_key_goes_in_the_clear(folder: Path) -> None:
    (folder / "c.toml").write_text(
        f'[providers.box]\nkind = "compatible"\nbase_url = "http://box:8000/v1"\napi_key = "{KEY}"\n'
        "allow_plain_http = true\n"
        f'[providers.here]\nkind = "compatible"\nbase_url = "http://127.0.0.1:8000/v1"\napi_key = "{KEY}"\n'
        "allow_plain_http = true\n"
        f'[providers.asked]\nkind = "compatible"\nbase_url = "https://box/v1"\nquery = {{ sig = "{KEY}" }}\n'
        f'[providers.odd]\nkind = "compatible"\nbase_url = "http://odd:8000/v1"\nquery = {{ key = "{KEY}" }}\n'
    )
    result = CliRunner().invoke(group, ["doctor", "--no-search", "--config", "c.toml"])
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.startswith("  ")}
    assert "the key goes in the clear (allow_plain_http)" in lines["box"]
    assert "clear" not in lines["here"]
    assert "key in the query (sig)" in lines["asked"]
    assert "broken" in lines["odd"]
    assert KEY not in result.output
