"""Start the real servers that are too large for every run: vLLM, transformers serve, mlx-lm.

Each needs an environment of its own. Say where its Python is: CHATPORT_REAL_VLLM, CHATPORT_REAL_TRANSFORMERS,
CHATPORT_REAL_MLX. A server whose variable is not set is skipped.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import attrs

__all__ = ["SERVERS", "RealServer", "ServerKind", "running"]


@attrs.frozen
class ServerKind:
    """How a server is started, and what it cannot do (so that the tests do not ask for it)."""

    provider: str
    variable: str
    command: tuple[str, ...]
    model: str
    ready_path: str
    tools: bool = True
    schema: bool = True
    context_error: bool = True
    environment: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class RealServer:
    """A server that answers."""

    kind: ServerKind
    base_url: str


_OFFLINE = (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "1"), ("DO_NOT_TRACK", "1"), ("HF_HOME", "hf"))

SERVERS = (
    ServerKind(
        "vllm",
        "CHATPORT_REAL_VLLM",
        (
            "-m", "vllm.entrypoints.openai.api_server", "--model", "./tiny-hf", "--served-model-name", "tiny-scripted",
            "--host", "127.0.0.1", "--port", "{port}", "--max-model-len", "2048", "--max-num-seqs", "4",
            "--enforce-eager", "--dtype", "float32", "--enable-auto-tool-choice", "--tool-call-parser", "hermes",
            "--reasoning-parser", "deepseek_v3",
        ),
        "tiny-scripted",
        "/health",
        environment=(("VLLM_NO_USAGE_STATS", "1"), ("VLLM_CPU_KVCACHE_SPACE", "1"), *_OFFLINE),
    ),
    ServerKind(
        "transformers",
        "CHATPORT_REAL_TRANSFORMERS",
        (
            "-m", "transformers.cli.transformers", "serve", "./tiny-hf", "--host", "127.0.0.1", "--port", "{port}",
            "--device", "cpu",
        ),
        "./tiny-hf",
        "/health",
        tools=False,  # the tiny model brings no response template, so calls stay in the text
        schema=False,  # TS-P1: response_format is accepted and ignored
        context_error=False,  # TS-E1: no context check
        environment=_OFFLINE,
    ),
    ServerKind(
        "mlx",
        "CHATPORT_REAL_MLX",
        ("-m", "mlx_lm", "server", "--model", "./tiny-hf", "--host", "127.0.0.1", "--port", "{port}"),
        "./tiny-hf",
        "/v1/models",
        schema=False,  # MX-E1: response_format is ignored
        context_error=False,
        environment=_OFFLINE,
    ),
)  # fmt: skip


@contextlib.contextmanager
def running(kind: ServerKind, folder: Path, *, within_seconds: float = 180) -> Iterator[RealServer]:
    """Run a server in `folder`, where the model lies, until the end of the block."""
    python = os.environ[kind.variable]
    port = _free_port()
    command = [python, *(part.format(port=port) for part in kind.command)]
    (folder / "hf" / "hub").mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **dict(kind.environment)}
        )
        try:
            _wait(f"http://127.0.0.1:{port}{kind.ready_path}", child, within_seconds, folder / "server.log")
            yield RealServer(kind, f"http://127.0.0.1:{port}/v1")
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait(url: str, child: subprocess.Popen[bytes], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.25)
    raise RuntimeError(f"{url} does not answer:\n{log.read_text(errors='replace')[-3000:]}")
