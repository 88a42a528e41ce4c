"""Every recorded exchange with these servers is read as it was sent: text, reasoning, calls, usage, or its error."""

# These hold for every recorded exchange at once: VL-S1, VL-S2, VL-S3, VL-T4, VL-T5, VL-U1, OL-S1, OL-S2, OL-T1,
# OL-T3, OL-U1, LM-R1, LC-T4, LC-C2, MR-S3, TS-S1, MX-S1.

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatport import AuthenticationError, BadRequestError, ChatportError, ModelNotFoundError, StreamInterruptedError
from chatport.testing import replay

TRACES = Path(__file__).resolve().parents[3].parent / "shared" / "traces"
if not TRACES.is_dir():
    pytest.skip("the recorded exchanges are not here", allow_module_level=True)

PROVIDERS = {
    "vllm": "vllm",
    "ollama": "ollama",
    "lmstudio": "lmstudio",
    "llamacpp": "llamacpp",
    "llama-cpp-python": "local",
    "mistralrs": "mistralrs",
    "transformers-serve": "transformers",
    "mlx-lm": "mlx",
}


def _exchanges() -> list[Any]:
    found = []
    for folder, provider in PROVIDERS.items():
        for path in sorted((TRACES / folder).glob("*.json")):
            trace = json.loads(path.read_text("utf-8"))
            request = trace.get("request") or {"method": "POST", "url": "/chat/completions"}
            if request["method"] == "POST" and request["url"].endswith("/chat/completions"):
                found.append(pytest.param(provider, trace, id=f"{folder}-{path.stem}"))
    return found


EXCHANGES = _exchanges()


def _is_empty(trace: Any) -> bool:
    return trace["response"].get("sse_text") == ""


def _status(trace: Any) -> int:
    return trace["response"]["status"] or 200


def _replay(provider: str, trace: Any) -> Any:
    response = trace["response"]
    stream = response.get("sse_text") is not None
    body = response["sse_text"] if stream else response["body_text"]
    return replay(
        provider, status=_status(trace), headers=response["headers"], body=body, stream=stream, model="recorded"
    )


def _chunks(text: str) -> list[Any]:
    data = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(item) for item in data if item != "[DONE]"]


def _joined(trace: Any) -> dict[str, Any]:
    """Read the first choice in the plainest way there is."""
    response = trace["response"]
    if response.get("sse_text") is None:
        data = json.loads(response["body_text"])
        choice = data["choices"][0]
        pieces, finishes, usages = [choice["message"]], [choice["finish_reason"]], [data.get("usage")]
    else:
        chunks = _chunks(response["sse_text"])
        choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == 0]
        pieces = [choice["delta"] for choice in choices]
        finishes = [choice.get("finish_reason") for choice in choices]
        usages = [chunk.get("usage") for chunk in chunks]
    names = [call["function"].get("name") for piece in pieces for call in piece.get("tool_calls") or ()]
    return {
        "text": "".join(piece.get("content") or "" for piece in pieces),
        "reasoning": "".join(piece.get("reasoning_content") or piece.get("reasoning") or "" for piece in pieces),
        "calls": list(dict.fromkeys(filter(None, names))),
        "arguments": "".join(
            call["function"].get("arguments") or "" for piece in pieces for call in piece.get("tool_calls") or ()
        ),
        "finish": next(filter(None, finishes), None),
        "usage": next((usage for usage in reversed(usages) if usage), None),
    }


ANSWERS = [
    case for case in EXCHANGES if _status(case.values[1]) < 400 and (case.values[1]["response"].get("sse_text") != "")
]
REFUSALS = [case for case in EXCHANGES if _status(case.values[1]) >= 400]


def test_there_are_exchanges_of_every_server() -> None:
    assert {case.values[0] for case in ANSWERS} == set(PROVIDERS.values())
    assert len(ANSWERS) > 300
    assert len(REFUSALS) > 80


@pytest.mark.parametrize(("provider", "trace"), ANSWERS)
def test_answers_are_read_as_they_were_sent(provider: str, trace: Any) -> None:
    expected = _joined(trace)
    if expected["finish"] is None:  # the recording stops in the middle
        with pytest.raises(StreamInterruptedError) as caught:
            _replay(provider, trace)
        assert caught.value.partial is not None
        assert caught.value.partial.text == expected["text"]
        return
    reply = _replay(provider, trace)
    assert reply.text == expected["text"]
    assert (reply.reasoning or "") == expected["reasoning"]
    assert list(dict.fromkeys(call.name for call in reply.tool_calls)) == expected["calls"]
    assert "".join(call.arguments for call in reply.tool_calls) == expected["arguments"]
    assert reply.raw_finish_reason == expected["finish"]
    assert reply.finish_reason == (
        "tool_calls" if expected["calls"] and expected["finish"] == "stop" else expected["finish"]
    )
    if expected["usage"]:
        assert reply.usage.input_tokens == expected["usage"]["prompt_tokens"]
        assert reply.usage.output_tokens == expected["usage"]["completion_tokens"]
    else:
        assert reply.usage.input_tokens is None


@pytest.mark.parametrize(("provider", "trace"), REFUSALS)
def test_refusals_are_the_callers_to_solve(provider: str, trace: Any) -> None:
    """None of the recorded errors would pass if the request were sent again, whatever its status says."""
    with pytest.raises(ChatportError) as caught:
        _replay(provider, trace)
    error = caught.value
    unread = provider == "local" and not trace["response"]["body_text"].startswith("{")  # LP-E1: broken JSON, not ours
    assert unread or not error.retryable, error
    assert error.status == _status(trace)
    if error.status == 401:
        assert isinstance(error, AuthenticationError)
    elif trace["response"]["body_text"] not in ("Internal Server Error", "Not Found"):
        assert isinstance(error, BadRequestError | ModelNotFoundError)


def test_an_empty_stream_is_no_answer() -> None:
    """LP-E2: a prompt that is too long ends so when a stream was asked for."""
    cases = [case for case in EXCHANGES if _is_empty(case.values[1])]
    assert cases
    for case in cases:
        with pytest.raises(StreamInterruptedError):
            _replay(*case.values)
