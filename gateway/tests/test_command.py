"""`chatport serve` as its user meets it: what it prints for clients, what it says when it cannot start, how it ends."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from chatport_gateway.clients import CLIENTS
from chatport_gateway.command import command

from .serving import Serving

CONFIG = """
[aliases]
chat-fast = ["deepseek:deepseek-flash"]
both = ["deepseek:deepseek-flash", "qwen:qwen3.7-plus"]
unknown = ["local:auto", "deepseek:deepseek-flash"]
"""


def serve(*arguments: str, config: str = CONFIG, **environment: str) -> Any:
    """Run the command in this process with a configuration file, to its end."""
    Path("given.toml").write_text(config)
    return CliRunner().invoke(command, ["--config", "given.toml", *arguments], env=environment)


def refused(*arguments: str, config: str = CONFIG, **environment: str) -> str:
    """Return what is said by a command that cannot do what it is told: one paragraph, and no traceback."""
    done = serve(*arguments, config=config, **environment)
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert done.output.startswith("Error: ")
    return str(done.output)


# --- what clients are told


def printed(client: str, *arguments: str, config: str = CONFIG) -> str:
    done = serve("--print-config", client, "--model", "chat-fast", *arguments, config=config)
    assert done.exit_code == 0, done.output
    return str(done.output)


def test_all_clients_are_listed() -> None:
    assert printed("list").split() == list(CLIENTS)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_is_told_the_address_that_it_can_reach_and_the_key_of_the_file(client: str) -> None:
    key = '[gateway]\nport = 4321\nhost = "0.0.0.0"\nkey_env = "OUR_KEY"\n'
    shown = printed(client, config=key + CONFIG)
    assert "http://127.0.0.1:4321" in shown
    assert "0.0.0.0" not in shown
    assert "OUR_KEY" in shown
    assert "CHATPORT_GATEWAY_KEY" not in shown


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_printed_can_be_read(client: str) -> None:
    """By a shell, or as the file that it is to be."""
    shown = printed(client)
    kind, text = shown.split("\n", 1)
    match client:
        case "codex":
            told = tomllib.loads(shown)
            assert told["model_providers"][told["model_provider"]]["wire_api"] == "responses"
            assert told["model_providers"]["chatport"]["base_url"] == "http://127.0.0.1:4000/v1"
        case "opencode":
            options = json.loads(text)["provider"]["chatport"]["options"]
            assert options == {"baseURL": "http://127.0.0.1:4000/v1", "apiKey": "{env:CHATPORT_GATEWAY_KEY}"}
        case "openai" | "anthropic":
            ast.parse(shown)
        case "continue" | "llm":
            lines = [line for line in text.splitlines() if line.strip()]
            assert all(re.match(r"( *|- )(- )?\w+:", line) for line in lines)
            assert "${{ secrets.CHATPORT_GATEWAY_KEY }}" in text or client == "llm"
        case _ if kind.startswith("// Node"):  # run by `make test-clients`
            assert text.count("{") == text.count("}") > 0
        case _:
            assert kind.startswith("# shell")
            subprocess.run(["bash", "-n", "-c", shown], check=True)


def test_a_client_that_is_not_known() -> None:
    assert "There is no client 'emacs'. Known: codex, " in refused("--print-config", "emacs")


def test_a_key_is_hashed() -> None:
    done = CliRunner().invoke(command, ["--hash-key"], input="a-key-of-some-length\n")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", done.output)


# --- what cannot be served


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert f"Port {port} of 127.0.0.1 is taken" in said
    assert "--port" in said


def test_a_port_of_the_metrics_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", "0", config=f"[metrics]\nport = {port}\n" + CONFIG)
    assert f"Port {port} of 127.0.0.1 is taken" in said
    assert "another port in [metrics]" in said


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.0.2.1", "no address of this machine"), ("no such name", "no name that is known here")],
)
def test_an_address_that_there_is_not(host: str, words: str) -> None:
    keyed = '[gateway]\nkey_env = "OUR_KEY"\n' + CONFIG
    assert words in refused("--host", host, "--port", "0", config=keyed, OUR_KEY="a-key-of-some-length")


WRONG: Mapping[str, tuple[str, str]] = {
    "no TOML": ("[gateway\n", "given.toml"),
    "a name misspelt": ("[gateway]\nprot = 1\n", "has no 'prot'"),
    "a key in the file": ('[gateway]\nkey = "sk-in-the-open"\n', "does not stand in the file"),
    "no variable": ('[gateway]\nkey_env = "NOT_SET_ANYWHERE"\n', "NOT_SET_ANYWHERE, which is not set"),
    "a short key": ('[gateway]\nkey_env = "SHORT"\n', "at least 16 characters"),
    "a short secret": ('[gateway]\nseal_key_env = "SHORT"\n', "SHORT has at least 16 bytes"),
    "no guard": ('[gateway]\nhost = "0.0.0.0"\n', "no key is set"),
    "a metric misspelt": ("[metrics]\nprot = 1\n", "[metrics] has no 'prot'"),
    "a cache for ever": ("[cache]\nttl_seconds = 0\n", "[cache] ttl_seconds is a number above 0"),
    "no such store": ('[gateway]\nstore = "disk"\n', "store is one of memory"),
    "an alias of nothing": ("[aliases]\nmain = []\n", "main"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_configuration_that_is_wrong(case: str) -> None:
    config, words = WRONG[case]
    said = refused("--port", "0", config=config, SHORT="short-one")
    assert words in said
    assert "sk-in-the-open" not in said
    assert "short-one" not in said


# --- a process of its own


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_serves_and_ends_when_told(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "ours.toml").write_text(CONFIG)
    serving = "import sys; from chatport_gateway.command import command; command(sys.argv[1:])"
    arguments = [sys.executable, "-c", serving, "--config", "ours.toml", "--port", "0"]
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as ours:
        assert ours.stdout is not None
        port = re.search(r"serving\s+host=127.0.0.1 port=(\d+)", re.sub(r"\x1b\[\d*m", "", ours.stdout.readline()))
        assert port is not None
        assert httpx.get(f"http://127.0.0.1:{port[1]}/ready", timeout=20).json()["status"] == "ok"
        ours.send_signal(how)
        rest = ours.communicate(timeout=20)[0]
    assert ours.returncode == (0 if how == signal.SIGINT else -how)
    assert "Traceback" not in rest
    assert "Aborted" not in rest


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_surface_that_cannot_be_used_is_a_warning(tmp_path: Path) -> None:
    """What is installed beside it may be broken: the others are served, and it is said in the log and at /health."""
    about = tmp_path / "site" / "odd-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[chatport.surfaces]\nodd = json:dumps\n")
    (tmp_path / "ours.toml").write_text(CONFIG)
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    ours = Serving(tmp_path / "ours.toml", PYTHONPATH=path)
    try:
        problem = "The surface 'odd' (json:dumps) is no chatport_surfaces.Surface."
        assert f"Warning: {problem}\n" in ours.wait_for("Warning")
        assert httpx.get(f"{ours.url}/health").json() == {"status": "ok", "problems": [problem]}
    finally:
        ours.stop()
