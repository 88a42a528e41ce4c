"""The twins take what their vendors took, and refuse what they refused: recorded requests, posted as they were.

A recording tells which models there were, and by its name how a server on this machine was started. What the vendor
decided by something else than the request (the clock, an account, a file behind an address) is left out or listed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest

from chatport.testing import EmulatedRequest, Emulator

TRACES = Path(__file__).resolve().parents[1].parent / "shared" / "traces"
if not TRACES.is_dir():
    pytest.skip("no recordings: ../shared/traces is not there", allow_module_level=True)

FOLDERS = {  # where the recordings of a provider lie, if not under its name
    "glm": "zhipu", "transformers": "transformers-serve", "mlx": "mlx-lm", "local": "llama-cpp-python",
}  # fmt: skip
PROVIDERS = (
    *("openai", "anthropic", "deepseek", "qwen", "moonshot", "glm", "openrouter", "siliconflow", "together"),
    *("fireworks", "groq", "mistral", "cerebras", "gemini", "minimax", "azure", "bedrock", "xai"),
    *("vllm", "ollama", "lmstudio", "llamacpp", "mistralrs", "transformers", "mlx", "local"),
)
STARTED: Mapping[str, Mapping[str, Any]] = {  # how a recorded server was started, by the beginning of the name
    "own-vllm-no-parsers-": {"max_model_len": 1024, "tool_parser": False},
    "own-vllm-": {"max_model_len": 1024},
    "own-llama.cpp-": {"context_tokens": 2048},
}
NOT_BY_THE_REQUEST = (401, 402, 403, 429)
"""What a vendor refuses on account of the key, the account or the hour, whatever the request says."""

IN_ALL = 0.985
FOR_EACH = 0.97

# --- disagreements that stay, each with its reason

_NO_SUCH_MODEL = "the model was not there; its name could be one, and the recordings name it among the others"
_NOT_FETCHED = "the vendor could not fetch the picture, or not read it; a twin fetches nothing"
_OF_ITS_SIZE = "another size of the window, or other tokens, than the twin can know of"
_SCRUBBED = "the recording does not have the long text any more"
_OTHER_TYPE = "the body was sent as another type than JSON; the recording does not have the header"
LISTED: Mapping[str, str] = {
    "azure/067-error-404-gpt-5-nano.json": _NO_SUCH_MODEL,
    "deepseek/153-error-400-deepseek-chat.json": _SCRUBBED,
    "groq/084-error-404-tent-model-for-identity-edge.json": _NO_SUCH_MODEL,
    "llamacpp/082-stream-reasoning-length-qwen3-1-7b-q4-k-m.json": _OF_ITS_SIZE,
    "llamacpp/097-error-400-qwen3-1-7b-q4-k-m.json": _OF_ITS_SIZE,
    "llamacpp/102-error-400-image-in-qwen3-vl-2b-instruct-q8-0.json": _NOT_FETCHED,
    "mlx-lm/own-mlx-lm-err_unknown_model_stream.json": _NO_SUCH_MODEL,
    "openai/388-error-400-image-in-gpt-4o-mini.json": _NOT_FETCHED,
    "openai/396-error-404-gpt-5-2-proo.json": _NO_SUCH_MODEL,
    "openrouter/244-error-400-gpt-nonexistent-routed-model.json": _NO_SUCH_MODEL,
    "qwen/049-error-400-image-in-qwen3-vl-flash.json": _NOT_FETCHED,
    "qwen/050-error-400-image-in-qwen3-vl-flash.json": _NOT_FETCHED,
    "qwen/051-error-400-image-in-qwen3-vl-flash.json": _NOT_FETCHED,
    "qwen/052-error-400-image-in-qwen3-vl-flash.json": _NOT_FETCHED,
    "transformers-serve/own-transformers-serve-err_wrong_content_type.json": _OTHER_TYPE,
    "vllm/own-vllm-err_wrong_content_type.json": _OTHER_TYPE,
    "vllm/own-vllm-qwen3-parser-err_unknown_model_stream.json": _NO_SUCH_MODEL,
}


@attrs.frozen
class Recorded:
    """A recorded request and the status of its answer."""

    name: str
    protocol: str
    content: bytes
    body: Any
    content_type: str
    status: int

    @property
    def is_judged(self) -> bool:
        """Whether the vendor's answer says something about the request."""
        return (
            isinstance(self.body, dict)
            and bool(self.body.get("messages"))
            and self.status not in NOT_BY_THE_REQUEST
            and self.status < 500
        )


@cache
def recorded(provider: str) -> tuple[Recorded, ...]:
    """Return every POST of a provider's recordings."""
    return tuple(filter(None, map(_read, sorted((TRACES / FOLDERS.get(provider, provider)).glob("*.json")))))


def _read(path: Path) -> Recorded | None:
    exchange = json.loads(path.read_bytes())
    request, answer = exchange.get("request") or {}, exchange["response"]
    body = request.get("body")
    text = request.get("body_text") if body is None else json.dumps(body)
    if request.get("method", "POST") != "POST" or text is None or "embeddings" in (request.get("url") or ""):
        return None
    headers = {name.lower(): value for name, value in (request.get("headers") or {}).items()}
    return Recorded(
        f"{path.parent.name}/{path.name}",
        str(exchange.get("protocol")),
        text.encode("utf-8", "surrogatepass"),
        body,
        headers.get("content-type") or "application/json",
        answer["status"] or 200,
    )


def answers(provider: str) -> Iterator[tuple[Recorded, int]]:
    """Post every recorded request to the twin; give it with the status of the answer. Raises whatever the twin does."""
    names = {entry.body["model"] for entry in recorded(provider) if isinstance(entry.body, dict) and _named(entry.body)}
    twins: dict[str, Emulator] = {}
    for entry in recorded(provider):
        started = next((begin for begin in STARTED if entry.name.split("/")[1].startswith(begin)), "")
        if started not in twins:
            twins[started] = Emulator(provider, models=sorted(names), **STARTED.get(started, {}))
        path = "/v1/messages" if entry.protocol == "anthropic-messages" else "/v1/chat/completions"
        headers = {"authorization": "Bearer k", "x-api-key": "k", "anthropic-version": "2023-06-01"}
        headers["content-type"] = entry.content_type
        yield entry, twins[started].vendor.respond(EmulatedRequest("POST", path, headers, entry.content)).status


def _named(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("model"), str) and bool(body["model"])


@cache
def judged(provider: str) -> tuple[Counter[bool], tuple[str, ...]]:
    """Return how often twin and vendor agree, and the disagreements in words."""
    agreed: Counter[bool] = Counter()
    others: list[str] = []
    for entry, status in answers(provider):
        if entry.is_judged:
            same = (status < 400) == (entry.status < 400)
            agreed[same] += 1
            others += [] if same else [f"{entry.name}: the vendor said {entry.status}, the twin {status}"]
    return agreed, tuple(others)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_twin_decides_as_its_vendor_did_but_for_what_is_listed(provider: str) -> None:
    agreed, others = judged(provider)
    unlisted = [line for line in others if line.partition(":")[0] not in LISTED]
    assert not unlisted, "\n".join(unlisted)
    assert agreed[True] >= FOR_EACH * agreed.total() or agreed.total() < 60, others


def test_all_twins_together_keep_the_bound() -> None:
    agreed = sum((judged(provider)[0] for provider in PROVIDERS), Counter[bool]())
    assert agreed.total() > 1500, "the recordings are not there"
    assert agreed[True] >= IN_ALL * agreed.total(), f"{agreed[True]} of {agreed.total()}"


def test_what_is_listed_does_disagree() -> None:
    """A line of the table that is no longer needed goes."""
    others = {line.partition(":")[0] for provider in PROVIDERS for line in judged(provider)[1]}
    assert LISTED.keys() <= others


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_recorded_request_gets_an_answer(provider: str) -> None:
    """Also one that is no JSON, or that the vendor refused for another reason."""
    assert all(200 <= status < 600 for _, status in answers(provider))
