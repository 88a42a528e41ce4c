"""What clients are told, which `make test-clients` runs them with."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import chatport
from chatport_gateway import GatewaySettings
from chatport_gateway.clients import CLIENTS, told
from chatport_gateway.codex import codex_models
from chatport_gateway.command import command

PLAIN = {"slug": "plain", "base_instructions": "Be good.", "tool_mode": None, "upgrade": {"model": "m"}, "priority": 9}
SPECIAL = {**PLAIN, "slug": "special", "tool_mode": "code_mode_only", "use_responses_lite": True, "priority": 1}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_is_told_where_and_whom_to_ask(client: str) -> None:
    words = told(client, GatewaySettings(port=4321, key_env="OURS"), "chat-fast")
    assert "http://127.0.0.1:4321" in words
    assert "OURS" in words
    assert not any(name in words for name in ("{url}", "{key}", "{variable}", "{model}"))


def test_files_can_be_read() -> None:
    settings = GatewaySettings()
    assert tomllib.loads(told("codex", settings, "chat-fast"))["model_providers"]["chatport"]["wire_api"] == "responses"
    opencode = told("opencode", settings, "chat-fast").partition("\n")[2]
    assert json.loads(opencode)["provider"]["chatport"]["models"].keys() == {"chat-fast"}


@pytest.mark.parametrize("models", [[SPECIAL, PLAIN], [SPECIAL]])
def test_a_model_for_codex_is_like_its_own_but_for_its_service(models: list[dict[str, Any]]) -> None:
    (model,) = json.loads(codex_models(json.dumps({"models": models}), "chat-fast"))["models"]
    assert (model["slug"], model["display_name"], model["visibility"]) == ("chat-fast", "chat-fast", "list")
    assert model["base_instructions"] == "Be good."
    assert not any(model.get(name) for name in ("tool_mode", "use_responses_lite", "upgrade"))
    assert "supports_search_tool" not in model  # nothing that this version does not have
    assert model["priority"] == models[-1]["priority"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": []}', '{"models": [1]}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match="codex debug models"):
        codex_models(text, "m")


def test_the_command_prints_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = json.dumps({"models": [PLAIN]})
    done = CliRunner().invoke(command, ["--print-config", "codex-models", "--model", "chat-fast"], input=listed)
    assert json.loads(done.output)["models"][0]["slug"] == "chat-fast"
    done = CliRunner().invoke(command, ["--print-config", "codex", "--model", "chat-fast"])
    assert tomllib.loads(done.output)["model"] == "chat-fast"
