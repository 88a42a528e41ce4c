"""Run a real llama.cpp server on this machine, for as long as a `with` block lasts.

    with running_llamacpp("tiny.gguf") as server:
        ...  # any client of the OpenAI protocol, at server.base_url

or by hand, until Ctrl-C:

    python llamacpp_server.py tiny.gguf

The server is llama.cpp's own, from the `xllamacpp` package. It runs in a child process, since it cannot be
stopped inside one, and since only a process can be killed to see what a client makes of that.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

_LIBRARY = "xllamacpp"
_NO_LIBRARY = 3  # the child's exit code when the import fails
_READY = "listening "
_POLL_SECONDS = 0.02
_STOP_SECONDS = 5.0


class LlamaCppUnavailable(RuntimeError):
    """The `xllamacpp` package is missing here, or does not load: install it with `pip install xllamacpp`."""


@dataclass(frozen=True, slots=True)
class ServerHandle:
    """A server that answers."""

    base_url: str  # such as http://127.0.0.1:8080/v1
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """End the server at once, in the middle of whatever it is sending."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the parent tells the child."""

    model_path: str
    slots: int
    context_tokens: int
    api_key: str | None
    reasoning_format: str
    alias: str


def available() -> bool:
    """Say whether the `xllamacpp` package is installed."""
    return importlib.util.find_spec(_LIBRARY) is not None


@contextlib.contextmanager
def running_llamacpp(
    model_path: str | Path,
    *,
    slots: int = 2,
    context_tokens: int = 2048,
    api_key: str | None = None,
    reasoning_format: str = "auto",
    alias: str = "tiny-scripted",
    timeout_seconds: float = 30,
) -> Iterator[ServerHandle]:
    """Start a server on a free port of 127.0.0.1, and stop it at the end of the block.

    Args:
        model_path: A GGUF file.
        slots: How many requests are answered at the same time; more wait in a queue.
        context_tokens: Prompt and reply of one request, at most. llama.cpp rounds it up to a multiple of 256,
            and down to what the model was made for.
        api_key: When given, a request without it is refused.
        reasoning_format: `auto` and `deepseek` give reasoning its own field, `none` leaves it in the text.
        alias: The name of the model in requests and replies.
        timeout_seconds: How long the start may take.

    Raises:
        LlamaCppUnavailable: The `xllamacpp` package cannot be imported.
        RuntimeError: The server did not start; the message ends with the server's last words.
    """
    if not available():
        raise LlamaCppUnavailable(LlamaCppUnavailable.__doc__)
    settings = _Settings(str(model_path), slots, context_tokens, api_key, reasoning_format, alias)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        _child(settings, log) as child,
    ):
        try:
            url = _wait_until_healthy(child, time.monotonic() + timeout_seconds)
        except TimeoutError as error:
            raise _start_failure(str(error), child, log) from error
        yield ServerHandle(f"{url}/v1", child)


# The parent's side.


@contextlib.contextmanager
def _child(settings: _Settings, log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, os.path.abspath(__file__), "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as child:
        try:
            assert child.stdin is not None
            # Not on the command line, where everyone on the machine could read the key.
            print(json.dumps(asdict(settings)), file=child.stdin, flush=True)
            yield child
        finally:
            _stop(child)


def _stop(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def _wait_until_healthy(child: subprocess.Popen[str], deadline: float) -> str:
    """Give the server's address once it answers.

    Raises:
        TimeoutError: The child ended, or the time is up.
    """
    url = _read_address(child, deadline)
    while time.monotonic() < deadline and child.poll() is None:
        if _is_healthy(url):
            return url
        time.sleep(_POLL_SECONDS)
    raise TimeoutError("the llama.cpp server did not report itself healthy")


def _read_address(child: subprocess.Popen[str], deadline: float) -> str:
    assert child.stdout is not None
    # A pipe cannot be read with a time limit everywhere, but a killed child always closes it.
    killer = threading.Timer(max(0.0, deadline - time.monotonic()), child.kill)
    killer.start()
    try:
        for line in child.stdout:
            if line.startswith(_READY):
                return line.removeprefix(_READY).strip()
    finally:
        killer.cancel()
    raise TimeoutError("the llama.cpp server did not say where it listens")


def _is_healthy(url: str) -> bool:
    # Straight to the server, whatever proxy the environment names.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/health", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:  # not listening yet, or 503 while the model loads
        return False


def _start_failure(symptom: str, child: subprocess.Popen[str], log: IO[str]) -> RuntimeError:
    _stop(child)
    log.seek(0)
    last_words = log.read()[-2000:].strip()
    if child.returncode == _NO_LIBRARY:
        return LlamaCppUnavailable(f"{LlamaCppUnavailable.__doc__}\n{last_words}")
    return RuntimeError(f"{symptom} (exit code {child.returncode}):\n{last_words}")


# The child's side.


def _serve(settings: _Settings) -> None:
    """Run the server until the parent closes our standard input, as it also does by dying."""
    try:
        library = importlib.import_module(_LIBRARY)
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(_NO_LIBRARY)
    parameters = library.CommonParams()
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0  # any free one
    parameters.model.path = settings.model_path
    parameters.model_alias = {settings.alias}
    parameters.api_keys = [settings.api_key] if settings.api_key else []
    parameters.n_parallel = settings.slots
    parameters.n_ctx = settings.slots * settings.context_tokens  # llama.cpp divides it among the slots
    parameters.kv_unified = False  # or one request could use the context of another
    parameters.ctx_shift = False  # the end of the context ends the reply, as it does at a vendor
    parameters.n_gpu_layers = 0
    parameters.sampling.temp = 0.0  # unless a request says otherwise: by chance, one in some hundred would never end
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1  # a tiny model gains nothing
    reasoning_format = f"COMMON_REASONING_FORMAT_{settings.reasoning_format.upper()}"
    parameters.reasoning_format = getattr(library.common_reasoning_format, reasoning_format)
    server = library.Server(parameters)
    print(f"{_READY}{server.listening_address}", flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the parent reads no further, so the pipe could fill
    sys.stdin.read()
    os._exit(0)  # without waiting for replies under way


def main() -> None:
    """Be the child, or run a server for whoever typed the command."""
    if sys.argv[1:] == ["--serve"]:
        _serve(_Settings(**json.loads(sys.stdin.readline())))
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        with running_llamacpp(sys.argv[1]) as server, contextlib.suppress(KeyboardInterrupt):
            print(f"{server.base_url} until Ctrl-C", flush=True)
            server.process.wait()
    else:
        sys.exit(f"usage: {Path(sys.argv[0]).name} MODEL.gguf")


if __name__ == "__main__":
    main()
