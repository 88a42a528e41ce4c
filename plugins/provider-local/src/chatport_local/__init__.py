"""Providers of locally run models: one for each server, and `local`, which finds out what is running.

No server needs a key unless it was started with one. What each does differently is in `facts`, and in `servers` where
data cannot say it; its twin is in `emulators`, and `detect` tells the servers apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport import Auth, Dialect, Discovery, FieldRule, Prefill, Provider, load_facts
from chatport_responses import responses_protocol

from .servers import (
    llamacpp as _llamacpp,
    lmstudio as _lmstudio,
    mistralrs as _mistralrs,
    ollama as _ollama,
    other as _other,
    vllm as _vllm,
)

__all__ = ["llamacpp", "lmstudio", "local", "mistralrs", "mlx", "ollama", "transformers", "vllm"]

# The first request may load the model, others wait in a queue without a byte, and prompts are read slowly
# (OL-Q1, LM-Q1, VL-Q2, LC-Q1).
_PATIENCE = {"silence": 300, "first_event": 300, "between_events": 120, "total": 1800}
_GO_ON = {"continue_final_message": True, "add_generation_prompt": False}


def _server(name: str, title: str, base_url: str, emulator: str, *hooks: Any, **options: Any) -> Provider:
    return Provider(
        name,
        title,
        base_url,
        auth=Auth(required=False),
        facts=load_facts("chatport_local", f"facts/{name}.json"),
        hooks=hooks,
        timeouts=_PATIENCE,
        emulator=f"chatport_local.emulators.{emulator}",
        is_own_server=True,
        **options,
    )


def _at_host(settings: Mapping[str, Any]) -> str | None:
    """Return the base URL that `OLLAMA_HOST` means: it names what the server listens on (OL-B1)."""
    host = settings.get("host")
    if not host:
        return None
    from .detect import base_url_of

    return base_url_of(str(host), 11434)


def _running(settings: Mapping[str, Any]) -> Sequence[Discovery]:
    """Return the servers that answer, best first."""
    from .detect import discover_for  # sockets and threads are not for every import

    return discover_for(settings)


vllm = _server(
    "vllm",
    "vLLM",
    "http://127.0.0.1:8000/v1",
    "vllm:VllmEmulator",
    _vllm,
    key_env=("VLLM_API_KEY",),  # VL-B2
    base_url_env=("VLLM_BASE_URL",),
    # VL-R2: newer versions take either name in history, older ones only this one
    dialect=Dialect(
        reasoning_field="reasoning_content",
        prefill=Prefill(body=_GO_ON, fact="VL-P9"),
    ),
    protocols=(
        responses_protocol(
            inner=(_vllm,),
            dialect={"fields": {name: FieldRule(kept=True, fact="RS-V12") for name in ("stop", "seed")}},
        ),
    ),
)

ollama = _server(
    "ollama",
    "Ollama",
    "http://127.0.0.1:11434/v1",
    "ollama:OllamaEmulator",
    _ollama,
    base_url_env=("OLLAMA_BASE_URL",),
    settings={"host": "where Ollama listens, in the form of OLLAMA_HOST"},
    settings_env={"host": "OLLAMA_HOST"},
    locate=_at_host,
    dialect=Dialect(reasoning_field="reasoning"),  # OL-R1
    protocols=(responses_protocol(inner=(_ollama,)),),  # RS-V14
)

lmstudio = _server(
    "lmstudio",
    "LM Studio",
    "http://127.0.0.1:1234/v1",
    "lmstudio:LmStudioEmulator",
    _lmstudio,
    key_env=("LM_API_TOKEN",),  # LM-B1
    base_url_env=("LM_STUDIO_BASE_URL",),
    protocols=(responses_protocol(inner=(_lmstudio,)),),  # RS-V15
)

llamacpp = _server(
    "llamacpp",
    "llama.cpp server",
    "http://127.0.0.1:8080/v1",
    "llamacpp:LlamaCppEmulator",
    _llamacpp,
    key_env=("LLAMA_API_KEY",),  # LC-B2
    base_url_env=("LLAMACPP_BASE_URL",),
    dialect=Dialect(
        reasoning_field="reasoning_content",  # LC-R1
        prefill=Prefill(body=_GO_ON, fact="LC-P6"),
    ),
    protocols=(responses_protocol(inner=(_llamacpp,)),),  # RS-V13
)

mistralrs = _server(
    "mistralrs",
    "Mistral.rs",
    "http://127.0.0.1:1234/v1",
    "mistralrs:MistralRsEmulator",
    _mistralrs,
    base_url_env=("MISTRALRS_BASE_URL",),
    dialect=Dialect(
        reasoning_field="reasoning_content",  # MR-R1
        include_usage=False,  # MR-S2: it comes unasked
    ),
)

transformers = _server(
    "transformers",
    "transformers serve",
    "http://127.0.0.1:8000/v1",
    "transformers:TransformersEmulator",
    base_url_env=("TRANSFORMERS_BASE_URL",),
    dialect=Dialect(include_usage=False),  # TS-S1: it comes unasked
)

mlx = _server(
    "mlx",
    "mlx-lm server",
    "http://127.0.0.1:8080/v1",
    "mlx:MlxEmulator",
    base_url_env=("MLX_BASE_URL",),
)

local = _server(
    "local",
    "Local server",
    "",  # found, or given
    "other:LlamaCppPythonEmulator",
    _other,
    settings={
        "server": 'the server behind base_url where its quirks matter: "llama-cpp-python"',
        "hosts": "where to look for servers: hosts, host:port or addresses (default: this machine)",
        "ollama_host": "one more place to look, in the form of OLLAMA_HOST",
    },
    settings_env={"ollama_host": "OLLAMA_HOST"},
    discover=_running,
)
