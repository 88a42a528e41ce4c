"""Gemini's server side in miniature, of AI Studio and of Vertex: what it refuses, and its shapes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from chatport.testing import Refusal, Script, VendorEmulator, functions_of, list_of, sse, table_of

__all__ = ["GeminiEmulator", "VertexEmulator"]

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_WORDS = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials.",
    403: "The caller does not have permission",
    404: "models/x is not found for API version v1beta, or is not supported for generateContent.",
    429: "You exceeded your current quota, please check your plan and billing details. Please retry in 40.6s.",
    500: "An internal error has occurred.",
    503: "The model is overloaded. Please try again later.",
}
_WRONG_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com",
}  # fmt: skip
_QUOTA = "GenerateRequestsPer{}PerProjectPerModel-FreeTier"
_SWAPPED = {  # GM-K1
    "gemini-2.5-pro": "gemini-3.8-flash",
    "gemini-2.5-flash": "gemini-3.5-flash-lite",
}
_SWAP_DAY = "2026-12-01"
_NOT_IN_SCHEMAS = ("$schema", "const", "oneOf", "exclusiveMinimum", "exclusiveMaximum")  # GM-T1
_SKIP = "skip_thought_signature_validator"
_EFFORTS = ("minimal", "low", "medium", "high")


class GeminiEmulator(VendorEmulator):
    """AI Studio's twin.

    Settings: `quota` ("Minute" or "Day": which one a 429 is about), `finish_of_calls` (the word that ends a stream with
    calls), `counts_thoughts` (usage has details, as newer replies may), `pieces_of_calls` (arguments come in pieces),
    `signature_apart` (a signature comes in a delta of its own), `window_tokens`, `cached_tokens`, `today`, `models`.
    """

    name = "gemini"
    models: Sequence[str] = (
        *("gemini-3.8-flash", "gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.1-pro-preview"),
        *("gemini-3.1-flash-lite", "gemini-3-flash-preview", "gemini-2.5-flash-lite", "gemini-4-argon"),
    )
    retired: Mapping[str, str] = {"gemini-3-pro-preview": "2026-03-09"}  # GM-K2
    roles: Sequence[str] = ("system", "user", "assistant", "tool")  # GM-P8
    ranges: Mapping[str, tuple[float, float]] = {"temperature": (0, 2)}
    refused_fields: Mapping[str, str] = {"parallel_tool_calls": "Parallel tool calls are not supported."}  # GM-P2
    parts: Sequence[str] = ("text", "image_url", "input_audio")
    quota = "Minute"
    finish_of_calls = "stop"
    counts_thoughts = False
    pieces_of_calls = False
    signature_apart = False
    window_tokens = 1_048_576
    cached_tokens = 0

    # --- refusals

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error: in a list, with Google's name for the status (GM-X1)."""
        error = {"code": status, "message": message, "status": _STATUS_NAMES.get(status, "UNKNOWN")}
        more = details.get("code")
        return [{"error": {**error, "details": more} if isinstance(more, list) else error}]

    def error_for(self, status: int) -> Refusal:
        """Return an error by status; a 429 names its quota, and for how long to wait (GM-X2, GM-X18, GM-X19)."""
        message = _WORDS.get(status, f"An emulated error with status {status}.")
        if status != 429:
            return self.refuse(status, message)
        violation = {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
            "quotaId": _QUOTA.format(self.quota),
            "quotaDimensions": {"location": "global", "model": self.models[0]},
            "quotaValue": "10",
        }
        types = "type.googleapis.com/google.rpc."
        details = [
            {"@type": f"{types}QuotaFailure", "violations": [violation]},
            {"@type": f"{types}RetryInfo", "retryDelay": "41s"},
        ]
        return self.refuse(429, message, code=details)

    def check_key(self, request: Any) -> None:
        """Refuse a wrong key with a 400 (GM-X10)."""
        sent = request.headers.get("authorization", "")
        if (self.needs_key and not sent) or (self.api_key is not None and sent != f"Bearer {self.api_key}"):
            raise self.refuse(400, "API key not valid. Please pass a valid API key.", code=[_WRONG_KEY])

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there (GM-X17)."""
        words = f"models/{_bare(body)} is not found for API version v1beta, or is not supported for generateContent."
        return self.refuse(404, words)

    def check_model(self, body: Mapping[str, Any]) -> None:
        """Refuse a model that is not there. The prefix is nothing (GM-E3), and some are swapped, not gone (GM-K1)."""
        if self.models_are_given or _bare(body) not in _SWAPPED:
            super().check_model({**body, "model": _bare(body)})

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what Gemini refuses."""
        super().check(body)
        self.check_reasoning(body)
        self.check_schemas(body)
        for number, message in enumerate(body["messages"]):
            kinds = {str(part.get("type")) for part in list_of(message.get("content")) if isinstance(part, Mapping)}
            if kinds - set(self.parts):
                raise self.refuse(400, f"Invalid content part type in messages[{number}]: {sorted(kinds)}")  # GM-M1
        if self.signs(body):
            self.check_signatures(body)
        tokens = super().script(body).input_tokens
        if tokens > self.window_tokens:  # GM-X13
            words = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed"
            raise self.refuse(400, f"{words} ({self.window_tokens}).")

    def check_reasoning(self, body: Mapping[str, Any]) -> None:
        """Refuse two switches at once (GM-R1), and efforts that a model does not have (GM-R3)."""
        effort, model = body.get("reasoning_effort"), _bare(body)
        if effort is None:
            return
        if "thinking_config" in self.google(body):
            raise self.refuse(400, "Expected one of either `reasoning_effort` or custom `thinking_config`; found both.")
        is_off = effort == "none" and model.startswith("gemini-2.5-flash")
        if not is_off and (effort not in _EFFORTS or (effort == "minimal" and model == "gemini-3.8-flash")):
            raise self.refuse(400, f"Unable to submit request because reasoning_effort {effort!r} is not supported.")

    def check_schemas(self, body: Mapping[str, Any]) -> None:
        """Refuse what is no schema here (GM-T1), endless ones (GM-J1), and JSON beside tools on old models (GM-J2)."""
        wanted = table_of(body.get("response_format"))
        if body.get("tools") and wanted.get("type") in ("json_object", "json_schema") and not self.signs(body):
            words = "Function calling with a response mime type: 'application/json' is unsupported"
            raise self.refuse(400, words)
        for function in functions_of(body):
            wrong = next(_misfits(function.get("parameters")), None)
            if wrong is not None:
                words = f"Invalid JSON payload received. Unknown name {wrong!r} at 'tools[0].function.parameters'"
                raise self.refuse(400, words)
        if "$ref" in str(table_of(wanted.get("json_schema")).get("schema")):
            raise self.refuse(400, "Recursive schemas are not supported.")

    def signs(self, body: Mapping[str, Any]) -> bool:
        """Whether the model signs its thoughts, and wants that back: Gemini 3 and later (GM-T6)."""
        return not _bare(body).startswith("gemini-2")

    def check_signatures(self, body: Mapping[str, Any]) -> None:
        """Refuse calls of the current exchange without the signature that this model gave (GM-T6 to GM-T8)."""
        messages = body["messages"]
        last_user = max((n for n, message in enumerate(messages) if message["role"] == "user"), default=-1)
        for position, message in enumerate(messages):
            calls = message.get("tool_calls") or ()
            given = [table_of(table_of(call.get("extra_content")).get("google")) for call in calls]
            if any(not self.is_own(body, one["thought_signature"]) for one in given if "thought_signature" in one):
                raise self.refuse(400, "Corrupted thought signature.")
            if calls and position > last_user and "thought_signature" not in given[0]:
                name = table_of(calls[0].get("function")).get("name")
                raise self.refuse(400, self.missing_signature(name, position))

    def missing_signature(self, name: Any, position: int) -> str:
        """Return the words for a call without its signature (GM-T7)."""
        return (
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
            "correctly, and missing thought_signature may lead to degraded model performance. Additional data, "
            f"function call `default_api:{name}` , position {position + 1}."
        )

    def is_own(self, body: Mapping[str, Any], signature: Any) -> bool:
        """Whether a signature is this model's, or the word that skips the check."""
        try:
            return signature == _SKIP or base64.b64decode(str(signature)).decode() == f"{self.name} {_bare(body)}"
        except (binascii.Error, ValueError):
            return False

    def signature(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return where a signature stands."""
        text = base64.b64encode(f"{self.name} {_bare(body)}".encode()).decode()
        return {"extra_content": {"google": {"thought_signature": text}}}

    # --- what the model says

    def google(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return Google's own fields, which stand in a literal `extra_body` (GM-P3)."""
        return table_of(table_of(body.get("extra_body")).get("google"))

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """All think, but where 2.5 Flash is told not to (GM-R3)."""
        return body.get("reasoning_effort") != "none" and not _bare(body).startswith("gemini-2.0")

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says."""
        script = attrs.evolve(super().script(body), cached_tokens=self.cached_tokens)
        return attrs.evolve(script, text=script.refusal, refusal="") if script.refusal else script

    def shows_thoughts(self, body: Mapping[str, Any], script: Script) -> bool:
        """Whether thoughts are in the reply (GM-R4)."""
        config = table_of(self.google(body).get("thinking_config"))
        return bool(script.reasoning and config.get("include_thoughts"))

    def tags(self, body: Mapping[str, Any]) -> tuple[str, str]:
        """Return what stands around thoughts (GM-S4)."""
        return "<thought>", "</thought>"

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: nothing about limits (GM-H1)."""
        return {"content-type": content_type}

    def reply_id(self) -> str:
        """Return the id of a reply, which has no prefix (GM-S1)."""
        return f"1URyaLjuGKiqmtkPj86{self.serial:06d}"

    def call_id(self, number: int) -> str:
        """Return the id of a call: the same in every turn, and none at all of the older models (GM-T4)."""
        return f"function-call-{number + 1}"

    def answering(self, body: Mapping[str, Any]) -> str:
        """Return the model that answers: of two, another one from their day on (GM-K1)."""
        today = self.today or datetime.now(UTC).date().isoformat()
        model = _bare(body)
        return _SWAPPED.get(model, model) if today >= _SWAP_DAY else model

    def outer(self, body: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Return what stands around the choices."""
        return {"created": 1_790_000_000, "id": self.reply_id(), "model": self.answering(body), "object": kind}

    def wire_calls(self, body: Mapping[str, Any], script: Script) -> list[dict[str, Any]]:
        """Return the calls: whole, without an index, the first one signed (GM-T3, GM-T4, GM-T6)."""
        calls: list[dict[str, Any]] = []
        for number, (name, arguments) in enumerate(script.calls):
            call_id = self.call_id(number) if self.signs(body) else ""
            signed = self.signature(body) if self.signs(body) and number == 0 else {}
            calls.append(
                {**signed, "function": {"arguments": arguments, "name": name}, "id": call_id, "type": "function"}
            )
        return calls

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply; its thoughts stand before the text, and its mark says little (GM-R5)."""
        opening, closing = self.tags(body)
        thoughts = f"{opening}{script.reasoning}{closing}" if self.shows_thoughts(body, script) else ""
        message: dict[str, Any] = {"role": "assistant"}
        if thoughts or script.text or not script.calls:
            message["content"] = f"{thoughts}{script.text}"
        if script.reasoning and not script.calls:
            signature = self.signature(body)["extra_content"]["google"]["thought_signature"]
            message["extra_content"] = {"google": {"thought": True, "thought_signature": signature}}
            message["thought_signature"] = signature
        return {**message, **({"tool_calls": self.wire_calls(body, script)} if script.calls else {})}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give thoughts, text and calls; there is no delta with the role alone (GM-S1)."""
        opening, closing = self.tags(body)
        shown = self.shows_thoughts(body, script)
        for number, piece in enumerate(self.cut(script.reasoning if shown else "")):
            marked = {"extra_content": {"google": {"thought": True}}}
            yield {"content": f"{'' if number else opening}{piece}", **marked}
        pieces = list(self.cut(script.text)) or ([""] if shown or not script.calls else [])
        for number, piece in enumerate(pieces, 1):
            is_signed = script.reasoning and not script.calls and number == len(pieces)
            text = f"{closing if shown and number == 1 else ''}{piece}"
            yield {"content": text, **(self.signature(body) if is_signed else {})}  # GM-R6
        for call in self.wire_calls(body, script):
            yield from self.pieces_of(call)

    def pieces_of(self, call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Give a call whole, or as the settings say (GM-T5, GM-T6)."""
        signed = {key: value for key, value in call.items() if key == "extra_content"}
        bare = {key: value for key, value in call.items() if key != "extra_content" or not self.signature_apart}
        arguments = call["function"]["arguments"]
        cut = 6 if self.pieces_of_calls else max(len(arguments), 1)
        yield {"tool_calls": [{**bare, "function": {**call["function"], "arguments": arguments[:cut]}}]}
        for start in range(cut, len(arguments), cut):
            yield {"tool_calls": [{"function": {"arguments": arguments[start : start + cut]}}]}
        if signed and self.signature_apart:
            yield {"tool_calls": [signed]}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream: the last piece has finish and usage beside it (GM-S2)."""
        finish = self.finish_of_calls if script.finish == "tool_calls" else script.finish  # GM-S6
        deltas = list(self.deltas(body, script)) or [{}]
        for number, delta in enumerate(deltas, 1):
            choice: dict[str, Any] = {"delta": {**delta, "role": "assistant"}, "index": 0}
            last = number == len(deltas)
            if last:
                choice["finish_reason"] = finish
            usage = {"usage": self.usage(body, script)} if last else {}
            yield sse({"choices": [choice], **self.outer(body, "chat.completion.chunk"), **usage})
        yield b"data: [DONE]\n\n"

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply."""
        choice = {"finish_reason": script.finish, "index": 0, "message": self.message(body, script)}
        return {"choices": [choice], **self.outer(body, "chat.completion"), "usage": self.usage(body, script)}

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the usage: thinking is in the total alone (GM-U1), or in details as well (GM-U2)."""
        thought = script.reasoning_tokens
        details = {"completion_tokens_details": {"reasoning_tokens": thought}} if self.counts_thoughts else {}
        cached = {"prompt_tokens_details": {"cached_tokens": script.cached_tokens}} if script.cached_tokens else {}
        return {
            "completion_tokens": script.output_tokens - thought,
            "prompt_tokens": script.input_tokens,
            "total_tokens": script.input_tokens + script.output_tokens,
            **details,
            **cached,
        }

    def models_body(self) -> Any:
        """Return the list, whose ids have a prefix (GM-E3)."""
        entries = [{"id": f"models/{name}", "object": "model", "owned_by": "google"} for name in self.models]
        return {"object": "list", "data": entries}


class VertexEmulator(GeminiEmulator):
    """Vertex's twin: other keys, names with a publisher, and media of any type. Settings: those of `GeminiEmulator`.

    `shared_capacity`: a 429 is about the capacity that all share, and has no details (GM-X20).
    """

    name = "vertex"
    models: Sequence[str] = tuple(f"google/{name}" for name in GeminiEmulator.models)
    refused_fields: Mapping[str, str] = {}  # GM-P1: what is not supported is ignored
    shared_capacity = True

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error, which need not be in a list (GM-X1)."""
        return super().error_body(status, message, **details)[0]

    def error_for(self, status: int) -> Refusal:
        """Return an error by status."""
        if status == 429 and self.shared_capacity:
            return self.refuse(429, "Resource exhausted. Please try again later.")
        return super().error_for(status)

    def check_key(self, request: Any) -> None:
        """Refuse a token that has run out (GM-X15)."""
        sent = request.headers.get("authorization", "")
        if (self.needs_key and not sent) or (self.api_key is not None and sent != f"Bearer {self.api_key}"):
            raise self.error_for(401)

    def check_model(self, body: Mapping[str, Any]) -> None:
        """Refuse a model without its publisher (GM-E4), as any that is not there."""
        VendorEmulator.check_model(self, body)

    def missing_signature(self, name: Any, position: int) -> str:
        """Return the words for a call without its signature (GM-T7)."""
        return (
            f"Unable to submit request because function call `default_api:{name}` in the {position + 1}. content block "
            "is missing a `thought_signature`."
        )

    def tags(self, body: Mapping[str, Any]) -> tuple[str, str]:
        """Return what stands around thoughts: nothing, unless a marker was asked for (GM-S5)."""
        marker = self.google(body).get("thought_tag_marker")
        return (f"<{marker}>", f"</{marker}>") if isinstance(marker, str) and marker else ("", "")

    def answering(self, body: Mapping[str, Any]) -> str:
        """Return the model that answers: the one that was asked."""
        return str(body.get("model"))


def _bare(body: Mapping[str, Any]) -> str:
    """Return a model's name without prefix or publisher (GM-E3, GM-E4)."""
    return re.sub(r"\A(?:models|google)/", "", str(body.get("model")))


def _misfits(schema: Any) -> Iterator[str]:
    """Give the keywords that are not of the subset: in schemas, not in the names of properties (GM-T1)."""
    todo = [schema]
    while todo:
        node = todo.pop()
        if not isinstance(node, Mapping):
            continue
        yield from (word for word in _NOT_IN_SCHEMAS if word in node)
        if any(not isinstance(value, str) for value in list_of(node.get("enum"))):
            yield "enum"
        todo += [node.get("items"), *table_of(node.get("properties")).values(), *list_of(node.get("anyOf"))]
