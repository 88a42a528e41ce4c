"""The settings of the gateway: what each takes, what it says of anything else, and the secrets that it names."""

from __future__ import annotations

import hashlib
from typing import Any

import attrs
import pytest

from chatport import Config, ConfigurationError, load_config
from chatport_gateway.settings import GatewaySettings, is_loopback, read_settings, variable

TAKEN: dict[str, tuple[Any, ...]] = {
    "host": ("0.0.0.0",),
    "port": (0, 1),
    "key_env": ("A_KEY",),
    "key_hashes": (["a", "b"], []),
    "seal_key_env": ("A_SECRET",),
    "body_bytes": (0, 5),
    "header_seconds": (0, 1, 0.5),
    "body_seconds": (0, 1, 0.5),
    "shutdown_seconds": (0, 1, 0.5),
    "connections": (0, 7),
    "allow_origins": (["https://a.example"],),
    "store": ("memory",),
    "store_answers": (0, 3),
    "store_bytes": (0, 3),
    "telemetry": (True, False),
}
_TEXT, _TEXTS, _NUMBER = "a text, not {}", "a list of texts", "a number of at least 0, not {}"
_REFUSED: dict[str, tuple[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("host", "key_env", "seal_key_env"), (_TEXT, ("", 1, True))),
    **dict.fromkeys(("key_hashes", "allow_origins"), (_TEXTS, ("a", ["a", 1], 1))),
    **dict.fromkeys(("port", "body_bytes", "connections", "store_answers", "store_bytes"), (_NUMBER, (-1, 0.5, True))),
    **dict.fromkeys(("header_seconds", "body_seconds", "shutdown_seconds"), (_NUMBER, (-1, -0.5, "1", True))),
    "store": ("one of memory, not {}", ("disk", "")),
    "telemetry": ("true or false, not {}", (1, 0, "true")),
}


def _config(**table: Any) -> Config:
    return load_config({"gateway": table})


def test_what_holds_where_nothing_is_said() -> None:
    assert read_settings(_config()) == GatewaySettings()
    assert attrs.asdict(GatewaySettings()) == {
        "host": "127.0.0.1",
        "port": 4000,
        "key_env": None,
        "key_hashes": (),
        "seal_key_env": None,
        "body_bytes": 67_108_864,
        "header_seconds": 10.0,
        "body_seconds": 30.0,
        "shutdown_seconds": 30.0,
        "connections": 2000,
        "allow_origins": (),
        "store": None,
        "store_answers": 1000,
        "store_bytes": 67_108_864,
        "telemetry": False,
    }


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(GatewaySettings)])
def test_each_setting_takes_its_own_kind_and_says_what_it_is_otherwise(name: str) -> None:
    for value in TAKEN[name]:
        expected = tuple(value) if isinstance(value, list) else value
        assert getattr(read_settings(_config(**{name: value})), name) == expected
        assert getattr(read_settings(_config(), **{name: value}), name) == expected
    words, values = _REFUSED[name]
    for value in values:
        with pytest.raises(ConfigurationError) as raised:
            read_settings(_config(**{name: value}))
        assert str(raised.value) == f"[gateway] {name} is {words.format(repr(value))}."


def test_what_is_given_stands_over_the_table_and_none_is_not_given() -> None:
    config = _config(port=1, host="0.0.0.0")
    assert read_settings(config, port=0, host=None) == GatewaySettings(host="0.0.0.0", port=0)


@pytest.mark.parametrize("name", ["key", "keys", "api_key"])
def test_a_key_in_the_open_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_settings(_config(**{name: "sk-open"}))
    assert str(raised.value) == (
        f"[gateway] {name}: a key does not stand in the file. Name the variable that holds it with key_env, or give "
        "the hash of each with key_hashes."
    )


def test_a_setting_that_there_is_not() -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_settings(_config(ports=1))
    assert str(raised.value) == f"[gateway] has no 'ports'. It has: {', '.join(TAKEN)}."


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_what_is_reached_from_this_machine_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_secret_of_the_seal_has_sixteen_bytes_and_not_fifteen() -> None:
    settings = GatewaySettings(seal_key_env="A_SECRET")
    assert GatewaySettings().seal_secret({"A_SECRET": "s" * 16}) is None
    assert settings.seal_secret({"A_SECRET": "s" * 16}) == b"s" * 16
    with pytest.raises(ConfigurationError) as raised:
        settings.seal_secret({"A_SECRET": "s" * 15})
    assert str(raised.value) == "[gateway] seal_key_env: the secret in A_SECRET has at least 16 bytes."
    with pytest.raises(ConfigurationError) as raised:
        settings.seal_secret({})
    assert str(raised.value) == "[gateway] seal_key_env names the variable A_SECRET, which is not set."


def test_the_key_of_a_variable_is_taken_beside_those_of_the_table() -> None:
    one, two = (hashlib.sha256(key).digest() for key in (b"the-key-number-one-of-ours", b"the-key-number-two-of-ours"))
    settings = GatewaySettings(key_env="A_KEY", key_hashes=(f"sha256:{one.hex()}",))
    assert settings.key_digests({"A_KEY": "the-key-number-two-of-ours"}) == (one, two)
    assert GatewaySettings().key_digests({"A_KEY": "the-key-number-two-of-ours"}) == ()
    with pytest.raises(ConfigurationError) as raised:
        settings.key_digests({"A_KEY": ""})
    assert str(raised.value) == "[gateway] key_env names the variable A_KEY, which is not set."


def test_a_variable_is_one_of_the_process_where_no_others_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "of the process")
    assert variable("A_KEY", "here") == "of the process"
    assert variable("A_KEY", "here", {"A_KEY": "given"}) == "given"
    with pytest.raises(ConfigurationError, match=r"^here names the variable A_KEY, which is not set\.$"):
        variable("A_KEY", "here", {})
