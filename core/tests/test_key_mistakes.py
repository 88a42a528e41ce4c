"""A key in the wrong place, or under a misspelt name: it is shown in no error, repr or traceback."""

from __future__ import annotations

import pprint
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import chatport
from chatport.cli import group
from chatport.plugins.installed import installed_providers
from chatport.setup.config import load_config
from chatport.setup.keys import told
from chatport.setup.vendors import Vendors

KEYS = (
    "sk-" + "kept" + "-by-mistake",  # put together, so that no line of source in a traceback holds it
    "sk-" + "Zq7/Wv+3xK9.pT2-" + "mB5_rL8",
    "hf_" + "abcdefGHIJKLmnopqrSTUV",
    "gsk_" + "a1b2c3d4e5f6g7h8",
)
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "a file": lambda key: {"api_key": {"file": key}},
    "a file in a folder": lambda key: {"api_key": {"file": f"/{key}"}},
    "a command": lambda key: {"api_key": {"command": [key]}},
    "a command that refreshes": lambda key: {"api_key": {"command": [key], "refresh_seconds": 5}},
    "a command's argument": lambda key: {"api_key": {"command": ["false", key]}},
    "a keyring": lambda key: {"api_key": {"keyring": key, "user": "me"}},
    "a variable": lambda key: {"api_key": {"env": key}},
    "no reference": lambda key: {"api_key": [key]},
    "an unknown reference": lambda key: {"api_key": {"key": key}},
    "apikey": lambda key: {"apikey": key},
    "API_KEY": lambda key: {"API_KEY": key},
    "api-key": lambda key: {"api-key": {"token": [key]}},
    "key": lambda key: {"key": key},
    "base_url": lambda key: {"base_url": key},
    "a header's name": lambda key: {"auth": {"header": f"{key} x"}},
    "a scheme": lambda key: {"auth": {"scheme": f"{key} x"}},
    "a key beside a header": lambda key: {"auth": {"header": "api-key", "key": key}},
    "the variable of a query": lambda key: {"query": {"key": {"env": key}}},
    "the file of a query": lambda key: {"query": {"key": {"file": key}}},
    "a query as a text": lambda key: {"query": f"key={key}"},
    "a query's list": lambda key: {"query": {"key": [key]}},
    "the query of a base_url": lambda key: {"base_url": f"https://x.example/v1?api-version=1&key={key}"},
    "the query of another scheme": lambda key: {"base_url": f"htps://x.example/v1?token={key}"},
    "the query without a path": lambda key: {"base_url": f"http://127.0.0.1:1?{key}"},
    "the fragment of a base_url": lambda key: {"base_url": f"https://x.example/v1#{key}"},
    "the path of a base_url": lambda key: {"base_url": f"https://x.example/{key}?a"},
    "the user of a base_url": lambda key: {"base_url": f"https://{key.replace('/', '%2F')}@x.example/v1"},
    "the port of a base_url": lambda key: {"base_url": f"https://x.example:{key.replace('/', '%2F')}/v1"},
}
CASES = [(place, key) for place in PLACES for key in KEYS]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "of-the-user"))
    monkeypatch.chdir(tmp_path)


def written(place: str, key: str) -> None:
    """Write the mistake into a file, so that no variable of the test's holds it when frames are looked at."""
    table = {"kind": "compatible", "base_url": "https://x.example/v1"} | PLACES[place](key)
    lines = "".join(f"{name} = {as_toml(value)}\n" for name, value in table.items())
    Path("c.toml").write_text(f'model = "x:m"\n[providers.x]\n{lines}', "utf-8")


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {as_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def failure() -> BaseException:
    try:
        with chatport.Client("c.toml") as client:
            client.chat("hello")
    except chatport.ConfigurationError as error:
        return error
    raise AssertionError("it was taken for a key")


def whole(error: BaseException) -> str:
    """Return all that a traceback can show: causes, and the locals of every frame, but for those of this file."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True, max_group_depth=9)
    locals_ = [str(frame.locals) for frame in frames.stack if frame.filename != __file__]
    return "".join([*locals_, *traceback.format_exception(error), repr(error), repr(vars(error))])


@pytest.mark.parametrize(("place", "key"), CASES)
def test_no_error_shows_it(place: str, key: str) -> None:
    written(place, key)
    shown = whole(failure())
    for piece in (key, *(part for part in key.split("/") if len(part) > 8)):
        assert piece not in shown


@pytest.mark.parametrize(("place", "key"), CASES)
def test_no_view_of_the_configuration_shows_it(place: str, key: str) -> None:
    written(place, key)
    try:
        config = load_config("c.toml")
    except chatport.ConfigurationError:
        return  # looked at above
    for shown in (repr(config), str(config.providers), pprint.pformat(config), f"{config.providers['x']!s}"):
        assert key not in shown


@pytest.mark.parametrize(("place", "key"), CASES)
@pytest.mark.parametrize("command", [["chat", "hi"], ["explain", "hi"], ["doctor", "--no-search"], ["models", "x"]])
def test_no_command_shows_it(place: str, key: str, command: list[str]) -> None:
    written(place, key)
    result = CliRunner().invoke(group, [*command, "--config", "c.toml"])
    assert result.exit_code in (1, 2) or command[0] in ("doctor", "explain"), result.output  # these go on without a key
    assert key not in result.output + result.stderr + repr(result.exception)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("variable", ["LLM_BASE_URL", "BASE_URL", "DEEPSEEK_BASE_URL", "OPENAI_BASE_URL"])
def test_a_variable_with_a_key_in_its_query_is_refused_and_not_shown(
    variable: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LLM_BASE_URL", "BASE_URL", "DEEPSEEK_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, f"https://x.example/v1?key={key}")
    monkeypatch.setenv("LLM_MODEL", "m")
    model = f"{variable.partition('_')[0].lower()}:m" if variable.count("_") == 2 and variable[0] != "L" else "env:m"
    if model != "env:m" and model.partition(":")[0] not in installed_providers():
        pytest.skip("its package is not here")
    try:
        chatport.Client({"providers": {"openai": {"api_key": "k" * 20}}}).chat("hello", model=model)
    except chatport.ConfigurationError as error:
        shown = whole(error)
    assert key not in shown
    assert f"${variable}" in shown or variable in shown or "config" in shown
    result = CliRunner().invoke(group, ["chat", "hello", "--model", model])
    assert result.exit_code == 2
    assert key not in result.output + result.stderr + repr(result.exception)


def test_a_refused_file_shows_it_neither() -> None:
    for place, key in CASES:
        written(place, key)
        Path("c.toml").replace("chatport.toml")
        with pytest.raises(chatport.ConfigurationError) as caught:
            load_config()
        assert key not in whole(caught.value)


@pytest.mark.parametrize(
    ("file", "shown"), [("acme.key", "from acme.key: No such"), ("keys/of-acme-in-2026.key", "a file in keys (not")]
)
def test_what_can_be_no_key_is_shown(file: str, shown: str) -> None:
    """An error should say what was looked for."""
    Path("keys").mkdir()
    table = {"kind": "compatible", "base_url": "https://x.example", "api_key": {"file": file}}
    with pytest.raises(chatport.ConfigurationError) as caught:
        Vendors(load_config({"providers": {"x": table}})).provider("x")
    assert shown in str(caught.value)


def test_a_name_of_words_is_shown() -> None:
    assert told("get-the-key-of-acme-for-me") == "'get-the-key-of-acme-for-me'"


def test_a_key_in_a_header_or_a_setting_is_in_no_repr() -> None:
    table = {"kind": "compatible", "base_url": "https://x.example", "headers": {"x-key": KEYS[0]}, "setting": KEYS[1]}
    assert not [key for key in KEYS if key in repr(load_config({"providers": {"x": table}}))]
