"""Who is measured: each name with the module that has it, and the environment that it needs.

Nothing is imported here: a contender is loaded in its own process, in its own environment.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from .contract import Contender

__all__ = ["CONTENDERS", "PEERS", "Contender", "Entry", "load"]


@dataclass(frozen=True)
class Entry:
    """One contender: a class of a module in this folder, and what must be installed for it."""

    title: str
    module: str
    kind: str
    distribution: str = ""  # whose version is told
    environment: str = ""  # "": the project's own, otherwise a folder in .venvs


CONTENDERS = {
    "raw": Entry("raw sockets, the limit", "raw", "Raw"),
    "httpx": Entry("bare httpx", "bare_httpx", "BareHttpx", "httpx"),
    "httpx-trio": Entry("bare httpx on trio", "bare_httpx", "BareHttpxOnTrio", "httpx"),
    "httpx-sync": Entry("bare httpx, sync", "bare_httpx", "BareHttpxSync", "httpx"),
    "chatport": Entry("Chatport", "ours", "Ours", "chatport-core"),
    "chatport-deepseek": Entry("Chatport, DeepSeek", "ours", "DeepSeek", "chatport-provider-deepseek"),
    "chatport-anthropic": Entry("Chatport, Anthropic", "ours", "Anthropic", "chatport-provider-anthropic"),
    "chatport-trio": Entry("Chatport on trio", "ours", "OnTrio", "chatport-core"),
    "chatport-sync": Entry("Chatport, sync", "ours", "Sync", "chatport-core"),
    "chatport-httpx": Entry("Chatport through httpx", "ours", "OverHttpx", "chatport-core"),
    "chatport-httpx-trio": Entry("Chatport through httpx, trio", "ours", "OverHttpxOnTrio", "chatport-core"),
    "chatport-httpx-sync": Entry("Chatport through httpx, sync", "ours", "OverHttpxSync", "chatport-core"),
}
PEERS = {
    "openai": Entry("openai SDK", "peers", "OpenAI", "openai", "openai"),
    "openai-sync": Entry("openai SDK, sync", "peers", "OpenAISync", "openai", "openai"),
    "litellm": Entry("litellm", "peers", "LiteLLM", "litellm", "litellm"),
    "langchain": Entry("langchain-openai", "peers", "LangChain", "langchain-openai", "langchain"),
    "any-llm": Entry("any-llm", "peers", "AnyLLM", "any-llm-sdk", "any-llm"),
    "pydantic-ai": Entry("pydantic-ai", "peers", "PydanticAI", "pydantic-ai-slim", "pydantic-ai"),
}


def load(name: str, url: str) -> Contender:
    """Import a contender and return a client of its own for a vendor. Raises KeyError for an unknown name."""
    entry = (CONTENDERS | PEERS)[name]
    module = importlib.import_module(f".{entry.module}", __name__)
    return cast(Contender, getattr(module, entry.kind)(url))
