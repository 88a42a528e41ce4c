"""Mistral's server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import attrs

from chatport.testing import (
    EmulatedRequest,
    Misfit,
    Refusal,
    Script,
    VendorEmulator,
    chosen_name,
    list_of,
    parts_of,
    table_of,
    text_of,
)

from .batch_emulator import MistralBatches

__all__ = ["MistralEmulator"]

_GROUPS = (  # the names of one model, MI-U4
    ("mistral-small-2603", "mistral-small-latest"),
    ("mistral-medium-3-5", "mistral-medium-3", "mistral-medium-2604", "mistral-medium-latest"),
    ("mistral-large-2512", "mistral-large-latest"),
    ("ministral-14b-2512", "ministral-14b-latest"),
    ("ministral-8b-2512", "ministral-8b-latest"),
    ("ministral-3b-2512", "ministral-3b-latest"),
    ("codestral-2508", "codestral-latest"),
    ("voxtral-small-2507", "voxtral-small-latest"),
    ("mistral-vibe-cli-latest",),
    ("zai-glm-5-2",),
)
_BODY_KEYS = frozenset(  # MI-P2
    {
        "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata",
        "response_format", "tools", "tool_choice", "parallel_tool_calls", "presence_penalty", "frequency_penalty", "n",
        "prediction", "reasoning_effort", "prompt_mode", "safe_prompt", "guardrails", "prompt_cache_key",
        "service_tier", "document_image_limit", "document_page_limit",
    }
)  # fmt: skip
_MESSAGE_KEYS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_PART_KEYS: Mapping[str, frozenset[str]] = {  # MI-M6
    "text": frozenset({"type", "text"}),
    "image_url": frozenset({"type", "image_url"}),
    "document_url": frozenset({"type", "document_url", "document_name"}),
    "file": frozenset({"type", "file_id"}),
    "input_audio": frozenset({"type", "input_audio"}),
    "thinking": frozenset({"type", "thinking", "closed", "signature"}),
    "reference": frozenset({"type", "reference_ids"}),
}
_FUNCTION_KEYS = frozenset({"name", "description", "parameters", "strict"})
_CHOICES = ("auto", "none", "any", "required")
_ENUMS: Mapping[str, Sequence[str]] = {
    "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh"),  # MI-R1
    "service_tier": ("standard_only", "auto"),  # MI-P8
}
_WINDOWS = {"mistral-large-4": 1_000_000, "zai-glm": 1_000_000, "codestral": 128_000, "voxtral": 32_000}
_ADTS = tuple(f"//{letter}" for letter in "EFGHklmn")
"""How the base64 of an AAC stream begins, of all that is no mp3 and no wav (MI-M4)."""
_LIMITS = {
    "x-ratelimit-limit-req-minute": "100",
    "x-ratelimit-remaining-req-minute": "87",
    "x-ratelimit-limit-tokens-minute": "100000",
    "x-ratelimit-remaining-tokens-minute": "97292",
    "x-ratelimit-tokens-query-cost": "128",
}
_PADDING = "abcdefghijklmnopqrstuvwxyz0123456789"
_ERRORS: Mapping[int, tuple[str, str, str | None]] = {
    403: ("You are not allowed to use this feature.", "forbidden", None),  # MI-X7
    429: ("Rate limit exceeded", "rate_limited", "1300"),  # MI-X8
    500: ("Service unavailable.", "internal_server_error", "1000"),  # MI-X11
    503: ("Service tier capacity exceeded for this model.", "service_tier_capacity_exceeded", "3505"),  # MI-X9
}


class MistralEmulator(MistralBatches, VendorEmulator):
    """Mistral's twin.

    Settings: `models`, `api_key`, `cached_tokens` (of each prompt), `priority` (the tier of calls with
    `service_tier="auto"`), `signs_thoughts` (blocks of thoughts are signed, and refused with another signature),
    `wrapped_faults` (the 422 in its other form, MI-X5).
    """

    name = "mistral"
    shapes: Mapping[str, Any] = {
        **VendorEmulator.shapes,
        "tools": {"type": "array", "items": {**VendorEmulator.shapes["tools"]["items"], "required": []}},
        "random_seed": {"type": "integer"},
    }
    models: Sequence[str] = tuple(name for group in _GROUPS for name in reversed(group))
    retired: Mapping[str, str] = {  # MI-L3
        "magistral-*": "2026-07-31",
        "devstral-2512": "2026-07-31",
        "mistral-small-2506": "2026-07-31",
        "open-mistral-nemo": "2026-07-31",
        "mistral-medium-250[58]": "2026-08-31",
        "mistral-large-2411": "2026-05-31",
        "pixtral-large*": "2026-05-31",
        "devstral-*-2507": "2026-05-31",
        "pixtral-12b*": "2025-12-31",
    }
    ranges: Mapping[str, tuple[float, float]] = {  # MI-P2
        "temperature": (0, 1.5), "top_p": (0, 1), "random_seed": (0, 2**63), "n": (1, 128), "max_tokens": (0, 2**31),
        "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2),
    }  # fmt: skip
    cached_tokens = 0
    priority = False
    signs_thoughts = False
    wrapped_faults = False

    # --- refusals

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error: `detail` for keys and paths, else an object with a code (MI-X1, MI-X2, MI-X10)."""
        if status in (401, 404):
            return {"detail": message} if status == 401 else {"message": message, "request_id": self.reply_id()}
        kind = details.get("type") or "invalid_request_error"
        return {"object": "error", "message": message, "type": kind, "param": None, "code": details.get("code")}

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status."""
        if status == 401:
            return self.refuse(401, "Unauthorized")
        if status == 404:
            return self.no_such_path(None)
        message, kind, code = _ERRORS.get(status, (f"An emulated error with status {status}.", "error", None))
        return self.refuse(status, message, type=kind, code=code)

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse a missing or wrong key (MI-X1)."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if self.needs_key and not sent:
            raise self.refuse(401, "Unauthorized")
        if self.api_key is not None and sent != self.api_key:
            raise self.refuse(401, "Invalid API Key")

    def no_such_path(self, request: EmulatedRequest | None) -> Refusal:
        """Return the gateway's answer to an unknown path (MI-B1, MI-X10)."""
        return self.refuse(404, "no Route matched with those values")

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there, or no longer (MI-X2)."""
        return self.refuse(400, f"Invalid model: {body.get('model')}", type="invalid_model", code="1500")

    def faulty(self, *faults: Mapping[str, Any]) -> Refusal:
        """Return the answer to a body that is not of the vendor's types (MI-X4, MI-X5)."""
        body: dict[str, Any] = {"detail": list(faults)}
        if self.wrapped_faults:
            body = {
                "object": "error", "message": body, "type": "invalid_request_error", "param": None, "code": None,
            }  # fmt: skip
        return Refusal(422, body)

    def unreadable(self, request: EmulatedRequest) -> Refusal:
        """Return the answer to a body that is no JSON object."""
        return self.faulty(_fault("json_invalid", (), "JSON decode error", {}))

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value of a wrong type, or to none."""
        place = tuple(int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", found.place))
        if found.is_missing:
            return self.faulty(_fault("missing", place, "Field required", found.value))
        return self.faulty(_fault("type_error", place, f"Input {found.problem}", found.value))

    def out_of_range(self, name: str, value: Any, least: float, most: float) -> Refusal:
        """Return the answer to a number out of range."""
        if value < least:
            return self.faulty(_fault("greater_than_equal", (name,), f"Input should be at least {least}", value))
        return self.faulty(_fault("less_than_equal", (name,), f"Input should be at most {most}", value))

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what Mistral refuses: first what is of a wrong type, anywhere, then the rest."""
        if body.get("logprobs") is not None or body.get("top_logprobs") is not None:  # MI-P5
            raise self.not_enabled("Logprobs are")
        faults = [*_field_faults(body), *_tool_faults(body), *_output_faults(body)]
        for number, message in enumerate(list_of(body.get("messages"))):
            faults += _message_faults(message, ("messages", number))
        if faults:
            raise self.faulty(*faults)
        super().check(body)
        self.check_window(body)
        self.check_output(body)
        self.check_content(body)
        self.check_order(body)

    def check_data(self, body: Mapping[str, Any], *checks: str) -> None:
        """Refuse numbers out of range."""
        super().check_data(body, "ranges")

    def not_enabled(self, what: str) -> Refusal:
        """Return the answer to what a model cannot do (MI-X3)."""
        return self.refuse(400, f"{what} not enabled for this model", type="invalid_request_invalid_args", code="3051")

    def check_tool_turns(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Refuse ids (MI-T1), calls without answers (MI-T7) and empty turns (MI-T8)."""
        open_calls: set[Any] = set()
        called = any(message.get("tool_calls") for message in messages)
        for message in messages:
            if message["role"] == "tool":
                self.check_id(message.get("tool_call_id"))
                if message.get("tool_call_id") not in open_calls:
                    raise self.disorder("Unexpected role 'tool' after role 'user'") if not called else self.miscounted()
                open_calls.discard(message.get("tool_call_id"))
                continue
            if open_calls:
                raise self.miscounted()
            calls = list_of(message.get("tool_calls"))
            open_calls = {call.get("id") for call in calls}
            for call in calls:
                self.check_id(call.get("id"))
            if message["role"] == "assistant" and not calls and not message.get("content"):
                words = "Assistant message must have either content or tool_calls, but not none."
                raise self.refuse(400, words, type="invalid_request_assistant_message", code="3240")
        if open_calls:
            raise self.miscounted()

    def check_order(self, body: Mapping[str, Any]) -> None:
        """Refuse turns in another order (MI-T5), which small takes since 2026-08, and a wrong last one (MI-T6)."""
        for before, message in pairwise(body["messages"]):
            role, last = message["role"], before["role"]
            if last == "tool" and role not in ("assistant", "tool") and not body["model"].startswith("mistral-small"):
                raise self.disorder(f"Unexpected role '{role}' after role 'tool'")
        final = body["messages"][-1]
        if final["role"] == "system" or (final["role"] == "assistant" and not final.get("prefix")):
            words = "Expected last role User or Tool (or Assistant with prefix True) for serving but got "
            raise self.disorder(f"{words}{final['role']}")

    def check_id(self, call_id: Any) -> None:
        """Refuse an id of a call that is not of the vendor's form (MI-T1)."""
        if not isinstance(call_id, str) or not re.fullmatch("[a-zA-Z0-9]{9}", call_id):
            words = f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9."
            raise self.refuse(400, words, type="invalid_function_call", code="3280")

    def disorder(self, words: str) -> Refusal:
        """Return the answer to turns in a wrong order."""
        return self.refuse(400, words, type="invalid_request_message_order", code="3230")

    def miscounted(self) -> Refusal:
        """Return the answer to calls without results, and the other way round."""
        words = "Not the same number of function calls and responses"
        return self.refuse(400, words, type="invalid_request_message_order", code="3230")

    def check_window(self, body: Mapping[str, Any]) -> None:
        """Refuse a limit (MI-P7) or a prompt (MI-X6) of the size of the window."""
        window = next((size for name, size in _WINDOWS.items() if body["model"].startswith(name)), 256_000)
        if (body.get("max_tokens") or 0) >= window:
            raise self.faulty(_fault("value_error", ("max_tokens",), f"must be below {window}", body["max_tokens"]))
        prompt = sum(len(text_of(message.get("content"))) for message in body["messages"]) // 4
        if prompt > window:
            words = f"Prompt contains {prompt} tokens, too large for model with {window} maximum context length"
            raise self.refuse(400, words, code="3051")

    def check_output(self, body: Mapping[str, Any]) -> None:
        """Refuse a form of the answer beside a forced call (MI-J2), and too many tools (MI-T4)."""
        form, choice = table_of(body.get("response_format")).get("type"), body.get("tool_choice")
        if body.get("tools") and form in ("json_object", "json_schema") and choice not in (None, "auto", "none"):
            raise self.refuse(400, f"`{form}` response type with tools is only compatible with `tool_choice: auto`")
        if len(list_of(body.get("tools"))) > 128:
            raise self.refuse(400, "Too many tools: at most 128 are taken")
        if body.get("prediction") is not None and (not body["model"].startswith("codestral") or "n" in body):  # MI-P9
            raise self.not_enabled("Predicted outputs are")

    def check_content(self, body: Mapping[str, Any]) -> None:
        """Refuse what a model does not take (MI-M4, MI-M5, MI-M7), and signatures of others (MI-R4)."""
        for part in (part for message in body["messages"] for part in parts_of(message)):
            kind = part["type"]
            if kind == "image_url" and body["model"].startswith(("voxtral", "mistral-vibe-cli")):
                raise self.not_enabled("Image input is")
            if kind in ("document_url", "file") and body["model"].startswith("voxtral"):
                raise self.error_for(500)
            if kind == "input_audio" and _sound(part).startswith(_ADTS):
                words = "Failed to load audio file. Verify that the given file is valid mp3 or wav."
                raise self.refuse(400, words, type="invalid_request_audio", code="3291")
            if kind == "thinking" and self.signs_thoughts and part.get("signature") != _signature(part):
                raise self.refuse(400, "Invalid signature of a thinking block")

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """Small and medium reason if asked to (MI-R1)."""
        asked = body.get("reasoning_effort") not in (None, "none")
        return asked and body["model"].startswith(("mistral-small", "mistral-medium", "mistral-large-4"))

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says; after a beginning, that comes once more (MI-F1)."""
        script = attrs.evolve(super().script(body), cached_tokens=self.cached_tokens)
        if script.refusal:
            script = attrs.evolve(script, text=script.refusal, refusal="")
        last = body["messages"][-1]
        begun = text_of(last.get("content")) if last.get("prefix") else ""
        return script if script.text.startswith(begun) else attrs.evolve(script, text=begun + script.text)

    def call_id(self, number: int) -> str:
        """Return an id of nine letters and digits (MI-T1)."""
        return hashlib.md5(f"{self.serial} {number}".encode()).hexdigest()[:9]

    def reply_id(self) -> str:
        """Return the id of this reply."""
        return hashlib.md5(f"{self.serial}".encode()).hexdigest()

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: limits are told with whole answers only (MI-H1, MI-H2)."""
        headers = {"content-type": content_type, "mistral-correlation-id": f"corr-{self.serial:08d}"}
        if content_type == "application/json":
            headers |= _LIMITS
        return headers

    def thought(self, text: str, whole: str, *, closed: bool) -> dict[str, Any]:
        """Return a part that is a thought, or a piece of one; the last piece has the signature of the whole."""
        part: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
        if closed:
            part["closed"] = True
        if closed and self.signs_thoughts:
            part["signature"] = _signature({"thinking": [{"text": whole}]})
        return part

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give thoughts, the last with the first of the text (MI-S5), then text, without what ends it."""
        yield {"role": "assistant", "content": ""}
        thoughts, texts = list(self.cut(script.reasoning)), list(self.cut(script.text))
        for number, piece in enumerate(thoughts, 1):
            is_last = number == len(thoughts)
            first = [{"type": "text", "text": texts.pop(0)}] if is_last and texts else []
            yield {"content": [self.thought(piece, script.reasoning, closed=is_last), *first]}
        for piece in texts:
            yield {"content": piece}
        if body["model"].startswith("zai-"):  # MI-S4
            for number, (name, arguments) in enumerate(script.calls):
                yield from self.call_deltas(number, name, arguments)

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        """Return a chunk, with padding that means nothing (MI-S2)."""
        size = sum(map(len, map(str, choices)))
        return super().chunk(body, choices, **more, p=_PADDING[: size % 36 + 1])

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the end: all calls whole, the finish reason and the counts in one chunk (MI-S1, MI-S3)."""
        calls = [] if body["model"].startswith("zai-") else self.wire_calls(script)
        delta = {"tool_calls": [{k: v for k, v in call.items() if k != "type"} for call in calls]}
        last = self.choice(delta if calls else {"content": ""}, script.finish)
        yield self.chunk(body, [last], usage=self.usage(body, script))

    def wire_calls(self, script: Script) -> list[dict[str, Any]]:
        """Return the calls as a message holds them (MI-T10)."""
        return [
            {
                "id": self.call_id(number), "type": "function", "function": {"name": name, "arguments": arguments},
                "index": number,
            }
            for number, (name, arguments) in enumerate(script.calls)
        ]  # fmt: skip

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply (MI-R3, MI-T10)."""
        content: Any = script.text
        if script.reasoning:
            text = [{"type": "text", "text": script.text}] if script.text else []
            content = [self.thought(script.reasoning, script.reasoning, closed=True), *text]
        return {"role": "assistant", "tool_calls": self.wire_calls(script) or None, "content": content}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts: sound is counted beside the prompt (MI-U1, MI-U2), thoughts by nothing (MI-R5)."""
        usage: dict[str, Any] = {
            **super().usage(body, script),
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
            "service_tier": "priority" if self.priority and body.get("service_tier") == "auto" else "standard",
        }
        if any(part["type"] == "input_audio" for message in body["messages"] for part in parts_of(message)):
            usage["prompt_tokens_details"]["audio_tokens"] = 375
            usage |= {"prompt_audio_seconds": 4, "total_tokens": usage["total_tokens"] + 375}
        return usage

    def models_body(self) -> Any:
        """Return the model list: a model comes once for each of its names, and the first once more (MI-E3)."""
        data = []
        for name in (*self.models, *self.models[:1]):
            names = next((group for group in _GROUPS if name in group), (name,))
            data.append(
                {
                    "id": name, "object": "model", "created": 1_790_000_000, "owned_by": "mistralai",
                    "aliases": [other for other in names if other != name], "max_context_length": 256_000,
                    "deprecation": None, "deprecation_replacement_model": None, "type": "base",
                    "capabilities": {"completion_chat": True, "function_calling": True},
                }
            )  # fmt: skip
        return {"object": "list", "data": data}


# --- the vendor's types


def _fault(kind: str, place: Sequence[str | int], message: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", *place], "msg": message, "input": value, **more}


def _extras(value: Mapping[str, Any], known: frozenset[str], place: Sequence[str | int]) -> list[dict[str, Any]]:
    """Return a fault for each key that is not known: bodies are closed at every level (MI-P1)."""
    words = "Extra inputs are not permitted"
    return [_fault("extra_forbidden", (*place, key), words, value[key]) for key in value if key not in known]


def _enum(place: Sequence[str | int], value: Any, known: Sequence[str]) -> dict[str, Any]:
    expected = " or ".join(filter(None, (", ".join(f"'{word}'" for word in known[:-1]), f"'{known[-1]}'")))
    return _fault("enum", place, f"Input should be {expected}", value, ctx={"expected": expected})


def _field_faults(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give what is wrong with single fields (MI-P1, MI-P4)."""
    yield from _extras(body, _BODY_KEYS, ())
    for name in ("model", "messages"):
        if name not in body:
            yield _fault("missing", (name,), "Field required", dict(body))
    for name, known in _ENUMS.items():
        if name in body and body[name] not in known:
            yield _enum((name,), body[name], known)
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in _CHOICES:
        yield _enum(("tool_choice",), choice, _CHOICES)
    elif choice is not None and not isinstance(choice, str) and chosen_name(body) is None:
        yield _fault("missing", ("tool_choice", "function"), "Field required", choice)


def _tool_faults(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is wrong with the tools, and that they are no texts either (recorded; MI-W1, MI-T4)."""
    faults, tools = [], list_of(body.get("tools"))
    for number, tool in enumerate(tools):
        place = ("tools", "list[Tool]", number)
        if tool.get("type", "function") != "function":
            faults.append(_enum((*place, "type"), tool["type"], ("function",)))
        faults += _extras(tool, frozenset({"type", "function"}), place)
        function = tool.get("function")
        if function is None:
            faults.append(_fault("missing", (*place, "function"), "Field required", tool))
            continue
        faults += _extras(function, _FUNCTION_KEYS, (*place, "function"))
        if function.get("parameters") is None:
            faults.append(_fault("missing", (*place, "function", "parameters"), "Field required", function))
    words = "Input should be a valid string"
    texts = [_fault("string_type", ("tools", "list[str]", n), words, tool) for n, tool in enumerate(tools)]
    return [*faults, *texts] if faults else []


def _output_faults(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give what is wrong with the form of the answer (MI-J1, MI-J3)."""
    wanted = table_of(body.get("response_format"))
    if wanted and wanted.get("type") not in ("text", "json_object", "json_schema"):
        yield _enum(("response_format", "type"), wanted.get("type"), ("text", "json_object", "json_schema"))
    if wanted.get("type") == "json_schema":
        spec = table_of(wanted.get("json_schema"))
        for name in ("name", "schema"):
            if spec.get(name) is None:
                yield _fault("missing", ("response_format", "json_schema", name), "Field required", dict(spec))


def _message_faults(message: Mapping[str, Any], place: Sequence[str | int]) -> Iterator[dict[str, Any]]:
    """Give what is wrong with a message and its parts (MI-P4, MI-M6)."""
    known = _MESSAGE_KEYS.get(message["role"])
    if known is None:
        yield _enum((*place, "role"), message["role"], tuple(_MESSAGE_KEYS))
        return
    yield from _extras(message, known, place)
    for number, call in enumerate(list_of(message.get("tool_calls"))):
        there = (*place, "tool_calls", number)
        yield from _extras(call, frozenset({"id", "type", "index", "function"}), there)
        if not isinstance(call.get("function"), Mapping):
            yield _fault("missing", (*there, "function"), "Field required", call)
    for number, part in enumerate(parts_of(message)):
        there, kind = (*place, "content", number), part["type"]
        if kind not in _PART_KEYS:
            yield _enum((*there, "type"), kind, tuple(_PART_KEYS))
            continue
        yield from _extras(part, _PART_KEYS[kind], there)
        needed = {"file": "file_id", "reference": "reference_ids"}.get(kind, kind)
        if part.get(needed) is None:
            yield _fault("missing", (*there, needed), "Field required", part)
        elif kind == "thinking" and not isinstance(part["thinking"], list):
            yield _fault("list_type", (*there, needed), "Input should be a valid list", part["thinking"])


def _sound(part: Mapping[str, Any]) -> str:
    """Return the base64 of a sound, in either form (MI-M4)."""
    sound = part.get("input_audio")
    return str(table_of(sound).get("data") if isinstance(sound, Mapping) else sound)


def _signature(part: Mapping[str, Any]) -> str:
    """Return what a block of thoughts is signed with."""
    return hashlib.md5(text_of(part.get("thinking")).encode("utf-8", "replace")).hexdigest()
