"""Recorded requests as a caller's input: what a vendor took is not refused, and nothing of it is lost unsaid.

Each recorded body is taken for what a caller gives, shaped with `explain`, and held against the recorded one by an
independent reading (`independent_wishes`). What a vendor took with a 200 comes out whole, or a note tells of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import chatport

from .in_chat_words import in_chat_words
from .independent_wishes import caller_of, missing, untold

TRACES = Path(__file__).resolve().parents[1].parent / "shared" / "traces"

if not TRACES.is_dir():
    pytest.skip("no recordings: ../shared/traces is not there", allow_module_level=True)

pytestmark = pytest.mark.slow

INSTALLED = entry_points(group="chatport.providers").names
OTHER_NAMES = {"zhipu": "glm", "mlx-lm": "mlx", "transformers-serve": "transformers"}
"""Folders of recordings whose provider has another name. Any other vendor is asked as the plain standard."""
PLACES = {"azure": {"resource": "acme"}, "bedrock": {"region": "us-east-1"}}
"""Providers without an address of their own."""

ENDED = ("perplexity",)
"""Folders of a surface that its vendor has ended: what replaced it has other fields, so that nearly all is told."""

MOST_LOST = 0.005
"""The share of what vendors took that may be refused or lost, the exceptions included."""

IGNORED = "the model takes no such content: the vendor ignores it in silence, and a question about it would go astray"
EXCEPTIONS: Mapping[str, str] = {
    "together/014-plain-reasoning-image-in-deepseek-ai-deepseek-v4-pro": IGNORED,
    "together/015-plain-reasoning-length-deepseek-ai-deepseek-v4-pro": IGNORED,
    "together/029-plain-reasoning-image-in-openai-gpt-oss-120b": IGNORED,
    "together/030-plain-reasoning-image-in-openai-gpt-oss-120b": IGNORED,
    "together/031-plain-reasoning-openai-gpt-oss-120b": IGNORED,
    "together/032-plain-reasoning-openai-gpt-oss-120b": IGNORED,
    "together/059-stream-reasoning-image-in-openai-gpt-oss-120b": IGNORED,
    "together/060-stream-reasoning-image-in-openai-gpt-oss-120b": IGNORED,
    "together/061-stream-reasoning-openai-gpt-oss-120b": IGNORED,
    "llamacpp/own-llama.cpp-err_empty_messages": "no message at all is a mistake of the program, whoever takes it",
}
"""Recordings that a vendor took and Chatport refuses all the same, each with its reason. One that passes fails here."""


class Recording(NamedTuple):
    """A recorded request, and whether its vendor took it."""

    name: str
    body: dict[str, Any]
    was_taken: bool


class Outcome(NamedTuple):
    """What becomes of it: `whole`, `told`, `lost` or `refused`, and why."""

    verdict: str
    why: str = ""


@cache
def recordings_of(folder: str) -> tuple[Recording, ...]:
    """Return the chat requests in a vendor's folder."""
    found = []
    for path in sorted((TRACES / folder).glob("*.json")):
        exchange = json.loads(path.read_text("utf-8"))
        body = (exchange["request"] or {}).get("body")
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body.get("model"):
            continue
        if exchange["protocol"] == "openai-chat":
            status = exchange["response"].get("status") or 200
            found.append(Recording(f"{folder}/{path.stem}", body, status < 400))
    return tuple(found)


FOLDERS = sorted(path.name for path in TRACES.iterdir() if path.is_dir() and recordings_of(path.name))


@cache
def client() -> chatport.Client:
    """Return a client with every provider, and the plain standard as `x`. It sends nothing."""
    providers = {name: {"api_key": "sk-test", **PLACES.get(name, {})} for name in INSTALLED}
    plain = {"kind": "compatible", "base_url": "https://x.example/v1", "api_key": "sk-test"}
    return chatport.Client(config={"providers": {**providers, "x": plain}})


_OUTCOMES: dict[str, Outcome] = {}


def outcome(recording: Recording) -> Outcome:
    """Return what becomes of a recorded request, shaped once. Any error but Chatport's own is raised."""
    if recording.name not in _OUTCOMES:
        _OUTCOMES[recording.name] = judged(recording)
    return _OUTCOMES[recording.name]


def judged(recording: Recording) -> Outcome:
    """Shape a recorded request anew, and judge what goes out."""
    folder = recording.name.partition("/")[0]
    provider = OTHER_NAMES.get(folder, folder)
    body = recording.body
    messages, options = caller_of(body)
    target = f"{provider if provider in INSTALLED else 'x'}:{body['model']}"
    try:
        explained = client().explain(messages, model=target, stream=body.get("stream") is True, **options)
    except chatport.ChatportError as error:
        return Outcome("refused", f"{type(error).__name__}: {error}"[:300])
    sent = in_chat_words(explained.body)
    lost = untold(body, sent, explained.adjustments)
    if lost:
        return Outcome("lost", "; ".join(f"{wish.field}: {wish.what[:200]}" for wish in lost))
    return Outcome("told" if missing(body, sent) else "whole")


def taken() -> Iterator[Recording]:
    """Give all that vendors took."""
    return (recording for folder in FOLDERS for recording in recordings_of(folder) if recording.was_taken)


@pytest.fixture(autouse=True, scope="module")
def _isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no variable of this machine, and no file, have a say."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.endswith(("_API_KEY", "_BASE_URL", "_API_BASE", "_HOST")) or name.startswith(("LLM_", "CHATPORT_")):
                patch.delenv(name)
        patch.chdir(tmp_path_factory.mktemp("empty"))
        yield


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_vendor_took_is_neither_refused_nor_lost(folder: str) -> None:
    """But for the listed exceptions, each of which is refused indeed."""
    wrong = {r.name: outcome(r) for r in recordings_of(folder) if r.was_taken}
    wrong = {name: found for name, found in wrong.items() if found.verdict in ("refused", "lost")}
    unlisted = [f"{name} is {found.verdict}: {found.why}" for name, found in wrong.items() if name not in EXCEPTIONS]
    assert not unlisted, "\n  ".join(["", *unlisted])
    listed = {name for name in EXCEPTIONS if name.startswith(f"{folder}/")}
    assert listed <= wrong.keys(), "an exception that is none any more"


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_vendor_refused_raises_nothing_but_our_own_errors(folder: str) -> None:
    for recording in recordings_of(folder):
        if not recording.was_taken:
            outcome(recording)


def test_the_share_that_is_refused_or_lost_is_within_the_bound() -> None:
    """The exceptions count: they may not become many."""
    verdicts = [(outcome(recording).verdict, recording.name.partition("/")[0]) for recording in taken()]
    wrong = sum(verdict in ("refused", "lost") for verdict, _ in verdicts)
    assert len(verdicts) > 2000
    assert wrong <= MOST_LOST * len(verdicts)
    alive = [verdict for verdict, folder in verdicts if folder not in ENDED]
    assert alive.count("whole") > 0.94 * len(alive)


def test_the_reading_notices_what_is_lost() -> None:
    """Each thing that a caller may wish, taken out of a request, is found missing."""
    function = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {}}}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    body: dict[str, Any] = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "u"},
                    {"type": "image_url", "image_url": {"url": "https://h.example/x.png"}},
                    {"type": "document_url", "document_url": "https://h.example/x.pdf"},
                ],
            },
            {"role": "assistant", "tool_calls": [call], "prefix": True},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "tools": [{"type": "function", "function": function}, {"type": "web_search"}],
        "tool_choice": "any",
        "temperature": 0.5,
        "max_tokens": 0,
        "stop": ["x"],
        "response_format": {"type": "json_object"},
        "own_field": {"a": 1},
    }
    assert untold(body, body, ()) == []
    for place in places(body):
        if place not in (("model",), *((field,) for field in ("messages", "tools"))):
            assert missing(body, without(body, place)), place
    other = {**body, "messages": [{"role": "system", "content": "s and more"}, *body["messages"][1:]]}
    assert untold(body, other, ()) != []
    note = chatport.Adjustment("added", "messages", "more")
    assert untold(body, other, (note,)) == []


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the paths of the fields of a body, and of what stands in its lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key not in ("type", "id"):
            yield (*path, key)
            if path[:1] in ((), ("messages",), ("tools",)) and len(path) < 3:
                yield from places(item, (*path, key))


def without(value: Any, path: tuple[Any, ...]) -> Any:
    """Return a copy of a value without what stands at a path."""
    copy = value.copy()
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = without(copy[path[0]], path[1:])
    return copy
