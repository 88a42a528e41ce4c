"""Every recorded error of every vendor, read by the plain standard, and judged by a naive reading of the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import chatport
from chatport.testing import replay

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
FOLDERS = [SHARED / "traces", SHARED / "traces-responses"]

if not all(folder.is_dir() for folder in FOLDERS):
    pytest.skip("no recordings: ../shared/traces is not there", allow_module_level=True)


class Recorded(NamedTuple):
    """An answer that is an error, or has one in it."""

    name: str
    status: int | None
    headers: dict[str, str]
    text: str
    is_stream: bool
    model: str | None


def recorded() -> Iterator[Recorded]:
    for path in sorted(path for folder in FOLDERS for path in folder.glob("*/*.json")):
        exchange = json.loads(path.read_text("utf-8"))
        response, kinds = exchange["response"], exchange["kind"]
        if (response["status"] or 0) < 400 and not any("error" in kind for kind in kinds):
            continue
        asked: Any = (exchange["request"] or {}).get("body")
        model = asked.get("model") if isinstance(asked, dict) else None
        stream = response.get("sse_text")
        text = response.get("body_text") if stream is None else stream
        yield Recorded(
            f"{path.parts[-3]}/{path.parts[-2]}/{path.name}",
            response["status"],
            response.get("headers") or {},
            text or "",
            stream is not None,
            model if isinstance(model, str) and model else None,
        )


RECORDED = list(recorded())

SIGNS: tuple[tuple[type[chatport.ChatportError], tuple[str, ...]], ...] = (
    (chatport.ContextLengthError, ("maximum context length", "available context size", "max_model_len")),
    (chatport.ContentFilterError, ("responsibleaipolicyviolation",)),
    (
        chatport.QuotaExceededError,
        ("insufficient balance", "insufficient_quota", "monthly included credits", "余额不足"),
    ),
    (
        chatport.ModelNotFoundError,
        (
            *("model_not_found", "not a valid model", "invalid_model", "not supported model", "deploymentnotfound"),
            *("model does not exist", "model not exist", "api model names are", "model_not_available"),
        ),
    ),
    (chatport.AuthenticationError, ("incorrect api key",)),
    (
        chatport.UnsupportedFeatureError,
        (
            *("does not support response format", "tool calling` is not", "does not support logprobs"),
            *("does not support multimodal", "image_url is not supported", "image input is not enabled"),
            *(
                "vision not support",
                "function calling not support",
                "outputs not support",
                "logprobs are not supported",
            ),
        ),
    ),
)
"""What only one thing says. Judged by eye over all recordings."""
BY_STATUS: dict[int, type[chatport.ChatportError]] = {
    401: chatport.AuthenticationError,
    402: chatport.QuotaExceededError,
    403: chatport.PermissionDeniedError,
    404: chatport.ModelNotFoundError,
    429: chatport.RateLimitError,
}
INSIDE = {
    "traces/minimax/004-error-in-200-pasted-abab6-5s-chat.json": chatport.PermissionDeniedError,  # MM-X16
}
"""Errors inside a 200 that name no status."""


def judged(error: Recorded) -> type[chatport.ChatportError]:
    text = error.text.lower()
    for cls, signs in SIGNS:
        if any(sign in text for sign in signs):
            return cls
    if error.name in INSIDE:
        return INSIDE[error.name]
    status = error.status or 0
    if status in BY_STATUS:
        return BY_STATUS[status]
    return chatport.ServerError if status >= 500 else chatport.BadRequestError


def test_there_are_recordings_of_many_vendors() -> None:
    assert len(RECORDED) > 400
    assert len({error.name.split("/")[1] for error in RECORDED}) > 20


@pytest.mark.parametrize("error", RECORDED, ids=lambda error: error.name)
def test_a_recorded_error_has_the_class_that_its_words_mean(error: Recorded) -> None:
    with pytest.raises(chatport.ChatportError) as caught:
        replay(
            "compatible",
            status=error.status,
            headers=error.headers,
            body=error.text,
            stream=error.is_stream,
            model=error.model,
        )
    said = caught.value
    assert type(said) is judged(error), said
    assert said.retryable == isinstance(said, chatport.RateLimitError | chatport.ServerError)
