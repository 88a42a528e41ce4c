"""Which key goes to which address, by where each of them comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chatport.cli import group
from chatport.errors import ConfigurationError
from chatport.provider import Discovery, Provider
from chatport.setup.config import load_config
from chatport.setup.vendors import Vendors

OWN = "https://api.acme.example/v1"
OTHER = "https://other.example/v1"
HERE = "http://127.0.0.1:3000"
PROVIDER = Provider(
    "acme",
    "Acme",
    OWN,
    hosts=("*.acme.example",),
    key_env=("ACME_API_KEY",),
    base_url_env=("ACME_BASE_URL",),
    settings={"address": "where it is"},
    settings_env={"address": "ACME_ADDRESS"},
    locate=lambda settings: settings.get("address"),
)
ACME, GENERAL = {"ACME_API_KEY": "k-acme"}, {"LLM_API_KEY": "k-general"}
NAMED = {"LLM_PROVIDER": "acme"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "of-the-user"))
    monkeypatch.chdir(tmp_path)


def sent(
    environment: dict[str, str], table: dict[str, Any] | None = None, name: str = "acme"
) -> tuple[str, str | None]:
    """Return the address of a provider, and the key that goes there."""
    config = load_config({"providers": {"acme": table}} if table else {}, environment=environment)
    vendor = Vendors(config, environment=environment, providers=[PROVIDER]).provider(name)
    return vendor.base_url, None if vendor.key is None else vendor.key.reveal()


@pytest.mark.parametrize(
    ("environment", "table", "address", "key"),
    [
        (ACME, None, OWN, "k-acme"),
        (ACME | {"ACME_BASE_URL": OTHER}, None, OTHER, "k-acme"),
        (ACME | {"ACME_ADDRESS": OTHER}, None, OTHER, "k-acme"),
        (ACME | {"BASE_URL": OTHER}, None, OWN, "k-acme"),
        (ACME | {"LLM_BASE_URL": OTHER}, None, OWN, "k-acme"),
        (NAMED | GENERAL, None, OWN, "k-general"),
        (NAMED | GENERAL | {"LLM_BASE_URL": OTHER}, None, OTHER, "k-general"),
        (NAMED | GENERAL | {"BASE_URL": OTHER}, None, OTHER, "k-general"),
        (NAMED | GENERAL | {"LLM_BASE_URL": HERE}, None, HERE, "k-general"),
        (NAMED | GENERAL | {"LLM_BASE_URL": OTHER, "ACME_BASE_URL": OWN}, None, OTHER, "k-general"),
        (NAMED | GENERAL | {"ACME_BASE_URL": "https://eu.acme.example"}, None, "https://eu.acme.example", "k-general"),
        (NAMED | ACME | {"LLM_BASE_URL": "https://eu.acme.example"}, None, "https://eu.acme.example", "k-acme"),
        (NAMED | {"LLM_BASE_URL": OTHER}, None, OTHER, None),
        (ACME, {"base_url": HERE}, HERE, "k-acme"),
        (ACME, {"base_url": OTHER, "api_key": {"env": "ACME_API_KEY"}}, OTHER, "k-acme"),
        (ACME, {"address": OTHER, "api_key": {"env": "ACME_API_KEY"}}, OTHER, "k-acme"),
        (ACME, {"address": "https://eu.acme.example"}, "https://eu.acme.example", "k-acme"),
        (NAMED | GENERAL | {"LLM_BASE_URL": OTHER}, {"base_url": OTHER}, OTHER, "k-general"),
        (NAMED | GENERAL | {"LLM_BASE_URL": OTHER}, {"base_url": HERE}, HERE, None),
        (NAMED | GENERAL | ACME | {"LLM_BASE_URL": OTHER}, {"base_url": HERE}, HERE, "k-acme"),
        (NAMED | {"LLM_BASE_URL": OTHER}, {"base_url": OWN, "api_key": "k-stated"}, OWN, "k-stated"),
    ],
)
def test_a_key_goes_where_it_was_meant_to_go(
    environment: dict[str, str], table: dict[str, Any] | None, address: str, key: str | None
) -> None:
    assert sent(environment, table) == (address, key)


@pytest.mark.parametrize(
    ("environment", "table", "words"),
    [
        (NAMED | ACME | {"LLM_BASE_URL": OTHER}, None, ("$LLM_BASE_URL", "other.example", "$ACME_API_KEY", "Unset")),
        (NAMED | ACME | {"LLM_BASE_URL": HERE}, None, ("$LLM_BASE_URL", "127.0.0.1", "$ACME_API_KEY")),
        (NAMED | ACME | {"BASE_URL": OTHER, "LLM_MODEL": "m"}, None, ("$BASE_URL", "Unset BASE_URL")),
        (NAMED | {"LLM_BASE_URL": OTHER}, {"api_key": "k-stated"}, ("$LLM_BASE_URL", "the configuration itself")),
        (NAMED | ACME | {"LLM_BASE_URL": OTHER}, {"api_key": {"env": "ACME_API_KEY"}}, ("$ACME_API_KEY",)),
        (NAMED | {"LLM_BASE_URL": OTHER}, {"api_key": {"command": ["no"]}}, ("a command, by the configuration",)),
        (NAMED | GENERAL | {"ACME_BASE_URL": OTHER}, None, ("$LLM_API_KEY goes", "$ACME_BASE_URL has acme be at")),
        (NAMED | GENERAL | {"ACME_ADDRESS": OTHER}, None, ("$LLM_API_KEY goes", "its settings has acme be at")),
        (NAMED | GENERAL, {"address": OTHER}, ("$LLM_API_KEY goes", "its settings has acme be at")),
        (
            ACME,
            {"base_url": OTHER},
            ("$ACME_API_KEY is a key for api.acme.example", 'api_key = { env = "ACME_API_KEY"'),
        ),
        (ACME, {"address": OTHER}, ("$ACME_API_KEY is a key for api.acme.example", "sends to other.example")),
        (ACME | {"ACME_ADDRESS": OWN}, {"address": OTHER}, ("$ACME_API_KEY is a key for",)),
    ],
)
def test_a_key_goes_nowhere_else(
    environment: dict[str, str], table: dict[str, Any] | None, words: tuple[str, ...]
) -> None:
    """The error says which two things do not belong together and what to do. No key is in it."""
    with pytest.raises(ConfigurationError) as caught:
        sent(environment, table)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "k-" not in str(caught.value)


def test_the_general_pair_is_an_endpoint_of_its_own() -> None:
    """Without `LLM_PROVIDER` no vendor's key has anything to do with it."""
    environment = ACME | GENERAL | {"LLM_BASE_URL": OTHER}
    assert sent(environment, name="env") == (OTHER, "k-general")
    assert sent(environment) == (OWN, "k-acme")
    assert sent(ACME | {"LLM_BASE_URL": OTHER}, name="env") == (OTHER, None)


def test_a_server_that_a_search_has_found_is_treated_alike() -> None:
    """By the provider's own settings of the environment, or on this machine; not where a file has had it look."""

    def opened(url: str, environment: dict[str, str], table: dict[str, Any]) -> Any:
        found = Provider("found", "Found", "http://127.0.0.1:8000/v1", key_env=("FOUND_KEY",))
        looks = Provider(
            "looks",
            "Looks",
            "",
            settings={"hosts": "where to look"},
            settings_env={"hosts": "LOOK_AT"},
            discover=lambda settings: [Discovery("found", url)],
        )
        config = load_config({"providers": {"looks": table}}, environment={})
        return Vendors(config, environment=environment, providers=[found, looks]).provider("looks").key

    environment = {"FOUND_KEY": "k"}
    assert opened(HERE, environment, {"hosts": "x"})
    assert opened(OTHER, environment | {"LOOK_AT": "x"}, {})
    with pytest.raises(ConfigurationError, match=r"\$FOUND_KEY is a key for 127\.0\.0\.1"):
        opened(OTHER, environment, {"hosts": "x"})


def test_doctor_shows_where_what_would_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLM_PROVIDER", "LLM_API_KEY", "LLM_MODEL", "BASE_URL", "CHATPORT_CONFIG", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"LLM_BASE_URL": OTHER, "LLM_API_KEY": "k-general", "DEEPSEEK_API_KEY": "k-deepseek"}.items():
        monkeypatch.setenv(name, value)
    shown = {line.split()[0]: line for line in doctor(0).splitlines() if line.split()}
    assert "$LLM_API_KEY is set" in shown["env"]
    assert f"{OTHER} (by $LLM_BASE_URL)" in shown["env"]
    assert "$DEEPSEEK_API_KEY is set" in shown["deepseek"]
    assert "https://api.deepseek.com (by its package)" in shown["deepseek"]
    monkeypatch.setenv("LLM_PROVIDER", "deepseek")
    monkeypatch.delenv("LLM_API_KEY")
    assert "$LLM_BASE_URL has requests go to other.example, which is no host of DeepSeek" in doctor(1)


def doctor(code: int) -> str:
    result = CliRunner().invoke(group, ["doctor", "--no-search"])
    assert result.exit_code == code, result.output
    assert "k-" not in result.output
    return result.output
