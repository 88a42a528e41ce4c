"""Moonshot's server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import EmulatedRequest, Misfit, Refusal, Script, VendorEmulator, list_of, parts_of, table_of

__all__ = ["MoonshotEmulator"]

_ROLES = ("system", "user", "assistant", "tool")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_FIXED = {"temperature": 1, "top_p": 0.95, "n": 1, "presence_penalty": 0, "frequency_penalty": 0}  # MS-P5
_REFUSED_KEYWORDS = frozenset(  # MS-T4, and forms that MS-T3 has no place for
    (
        *("title", "$comment", "$schema", "format", "const", "oneOf", "allOf", "prefixItems", "unevaluatedItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
    )
)
_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("content_filter", "The request was rejected because it was considered high risk"),  # MS-E1
    401: ("invalid_authentication_error", "Invalid Authentication"),  # MS-E5
    403: ("permission_denied_error", "The API you are accessing is not open"),  # MS-E6
    404: ("resource_not_found_error", "Not found the model or permission denied"),  # MS-E7
    429: ("rate_limit_reached_error", "Your account u<k> request reached TPM rate limit, current:9, limit:8"),  # MS-E9
    499: ("client_closed_request", "The client closed the request"),  # MS-E12
    500: ("server_error", "The server failed to answer"),  # MS-E13
    503: ("server_unavailable", "The server is not available"),  # MS-E14
}


class MoonshotEmulator(VendorEmulator):
    """Moonshot's twin; K3 and K2.7 always think, K2.6 unless told otherwise.

    Settings: `usage_form` ("choice": in the last choice only, "both": beside it too), `cached_tokens`, `overloaded`
    (a 429 is a lack of engines, with Retry-After), `broke` (a 429 is a lack of money), `blocked_words`,
    `context_tokens`, `empty_call_ids`, `call_index` (whether tool fragments have their index), `models`, `api_key`.
    """

    name = "moonshot"
    models: Sequence[str] = (  # MS-0.2
        "kimi-k3",
        "kimi-k3.1-pro",
        "kimi-k3.1-pro-highspeed",
        "kimi-k2.7-code",
        "kimi-k2.7-code-highspeed",
        "kimi-k2.6",
    )
    shapes: Mapping[str, Any] = {**VendorEmulator.shapes, "thinking": {"type": "object"}}
    retired: Mapping[str, str] = {  # MS-0.1, MS-0.2
        "kimi-latest": "2026-01-28",
        "kimi-k2-*": "2026-05-25",
        "moonshot-v1-*": "2026-09-01",
        "kimi-thinking-preview": "2026-09-01",
        "kimi-k2.5": "2026-09-01",
        "kimi-k2.*": "2027-01-01",
    }
    usage_form = "choice"
    cached_tokens = 0
    overloaded = False
    broke = False
    blocked_words: Sequence[str] = ()
    context_tokens = 0
    empty_call_ids = False
    call_index = True

    # --- errors

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse a missing or wrong key (MS-B2, MS-E5)."""
        sent = request.headers.get("authorization", "")
        if (self.needs_key and not sent) or (self.api_key is not None and sent != f"Bearer {self.api_key}"):
            raise self.error_for(401)

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error: a type and a message, and nothing else (MS-E4)."""
        return {"error": {"type": details.get("type") or "invalid_request_error", "message": message}}

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status; a 429 has three meanings (MS-X6)."""
        if status == 429 and self.broke:  # MS-E8
            words = "Your account org-x <ak-y> is suspended due to insufficient balance, please recharge your account"
            return self.refuse(429, words, type="exceeded_current_quota_error")
        if status == 429 and self.overloaded:  # MS-E11, MS-L3
            words = "The engine is currently overloaded, please try again later"
            return Refusal(429, self.error_body(429, words, type="engine_overloaded_error"), {"retry-after": "1"})
        kind, message = _ERRORS.get(status, ("", f"An emulated error with status {status}."))
        return self.refuse(status, message, type=kind)

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there, or no longer (MS-0.1, MS-E7)."""
        words = f"Not found the model {body.get('model')} or Permission denied"
        return self.refuse(404, words, type="resource_not_found_error")

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value that cannot be read."""
        return self.refuse(400, f"Invalid request: {found.place} {found.problem}")

    def no_such_path(self, request: EmulatedRequest) -> Refusal:
        """Return the answer to an unknown path, such as embeddings (MS-N3)."""
        return self.refuse(404, "The requested resource was not found", type="resource_not_found_error")

    # --- what is refused

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what the vendor refuses."""
        if not body.get("messages"):
            raise self.refuse(400, "Invalid request: messages must not be empty")  # MS-P14
        super().check(body)
        for number, message in enumerate(body["messages"]):
            self.check_message(number, message, thinks=self.reasons(body))
        self.check_fixed(body)
        self.check_thinking(body)
        self.check_tools(body)
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema":  # MS-J1
            self.check_schema(
                "response_format.json_schema.schema", table_of(table_of(wanted.get("json_schema")).get("schema"))
            )
        stop = body.get("stop") or []
        if len(stop) > 5 or any(len(text.encode()) > 32 for text in stop):  # MS-P4
            raise self.refuse(400, "Invalid request: stop takes at most 5 strings of at most 32 bytes")
        self.check_partial(body)
        self.check_text(body)

    def check_partial(self, body: Mapping[str, Any]) -> None:
        """Refuse what does not go with partial mode (MS-P16); that it is refused, and in which words, is a guess."""
        *earlier, last = body["messages"]
        if not any(message.get("partial") for message in body["messages"]):
            return
        if last.get("role") != "assistant" or any(message.get("partial") for message in earlier):
            raise self.refuse(400, "Invalid request: partial is only allowed on the last message, with role assistant")
        if (body.get("response_format") or {}).get("type", "text") != "text":
            raise self.refuse(400, "Invalid request: partial mode and response_format exclude each other")

    def check_message(self, number: int, message: Mapping[str, Any], *, thinks: bool) -> None:
        """Refuse roles (MS-P13), empty content (MS-P14), parts (MS-M1) and lost reasoning (MS-R3)."""
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES:
            raise self.refuse(400, f"Invalid request: role '{role}' is not allowed")
        if not content and not message.get("tool_calls") and not message.get("tools"):
            raise self.refuse(400, f"Invalid request: message at position {number} must not be empty")
        if content == "":  # MS-X8: null is taken, an empty text is not
            raise self.refuse(400, f"Invalid request: content of message {number} must not be empty")
        for part in parts_of(message):
            kind = part.get("type")
            if kind not in ("text", "image_url", "video_url"):
                raise self.refuse(400, f"Invalid request: unsupported content type '{kind}'")
            url = str(table_of(part.get(kind)).get("url"))
            if kind != "text" and not url.startswith(("data:", "ms://")):
                raise self.refuse(400, f"Invalid request: unsupported {kind}: only data URLs and ms:// references")
        if thinks and message.get("tool_calls") and message.get("reasoning_content") is None:
            raise self.refuse(
                400,
                "thinking is enabled but reasoning_content is missing in assistant tool call message "
                f"at index {number}",
            )

    def check_fixed(self, body: Mapping[str, Any]) -> None:
        """Refuse sampling values other than the fixed ones (MS-P5), and probabilities on K3 (MS-P10)."""
        fixed = {**_FIXED, **({} if self.reasons(body) else {"temperature": 0.6})}
        if str(body["model"]).startswith("kimi-k3"):
            fixed["logprobs"] = False
        for name, value in fixed.items():
            if body.get(name) not in (None, value):
                shown = json.dumps(value)
                raise self.refuse(400, f"invalid {name}: only {shown} is allowed for this model")

    def check_thinking(self, body: Mapping[str, Any]) -> None:
        """Refuse switches that this model does not have (MS-P7, MS-P8)."""
        thinking, model = body.get("thinking") or {}, str(body["model"])
        if model.startswith("kimi-k2.7") and thinking.get("type", "enabled") != "enabled":
            raise self.refuse(400, "invalid thinking: only type=enabled is allowed for this model")
        if model.startswith("kimi-k3") and body.get("reasoning_effort") in ("none", "off", "disabled"):
            raise self.refuse(400, f"invalid reasoning_effort: {body['reasoning_effort']}")

    def check_tools(self, body: Mapping[str, Any]) -> None:
        """Refuse names (MS-T1), schemas (MS-T2), and choices that cannot be forced (MS-T8)."""
        tools, choice = body.get("tools") or (), body.get("tool_choice")
        if len(tools) > 128:
            raise self.refuse(400, "Invalid request: at most 128 tools are allowed")
        for tool in tools:
            if tool["type"] != "function":
                continue
            if not _NAME.fullmatch(tool["function"]["name"]):
                words = "must start with a letter and can contain letters, numbers, underscores, and dashes"
                raise self.refuse(400, f"Invalid request: function name is invalid, {words}")
            self.check_schema("tools.function.parameters", tool["function"].get("parameters") or {"type": "object"})
        if isinstance(choice, dict) and self.reasons(body):
            raise self.refuse(400, "tool_choice 'specified' is incompatible with thinking enabled")
        if choice == "required" and str(body["model"]).startswith("kimi-k2"):
            raise self.refuse(400, "invalid tool_choice: required is not supported by this model")

    def check_schema(self, place: str, schema: Mapping[str, Any]) -> None:
        """Refuse a schema outside the subset (MS-T2, MS-T3)."""
        problem = "At path '': root must be of type object" if schema.get("type") != "object" else None
        problem = problem or next(_misfits(schema, "", table_of(schema.get("$defs"))), None)
        if problem:
            words = f"{place} is not a valid moonshot flavored json schema, details: <{problem}>"
            raise self.refuse(400, words)

    def check_text(self, body: Mapping[str, Any]) -> None:
        """Refuse content (MS-E1) and lengths (MS-E2, MS-E3)."""
        text = json.dumps(body["messages"], ensure_ascii=False)
        if any(word in text for word in self.blocked_words):
            raise self.error_for(400)
        asked = len(text) // 4 + (body.get("max_completion_tokens") or body.get("max_tokens") or 0)
        if self.context_tokens and len(text) // 4 > self.context_tokens:
            raise self.refuse(400, "Invalid request: Input token length too long")
        if self.context_tokens and asked > self.context_tokens:
            words = f"Your request exceeded model token limit: {self.context_tokens} (requested: {asked})"
            raise self.refuse(400, f"Invalid request: {words}")

    # --- what the model says, and how

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """All models think; K2.6 can be told not to (MS-0.4, MS-P8)."""
        off = (body.get("thinking") or {}).get("type") == "disabled"
        return not (off and str(body.get("model")).startswith("kimi-k2.6"))

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says; a refusal is an ordinary text, `required` does force a call."""
        script = super().script(body)
        last, text, reasoning = body["messages"][-1], script.refusal or script.text, script.reasoning
        if last.get("partial"):  # MS-P16: what is given is not repeated, neither text nor thoughts
            text, reasoning = text.removeprefix(last["content"]), "" if "reasoning_content" in last else reasoning
        cached = min(self.cached_tokens, script.input_tokens)
        return attrs.evolve(script, text=text, reasoning=reasoning, refusal="", cached_tokens=cached)

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers (MS-L4); there are none on rate limits (MS-L3)."""
        return {"content-type": content_type, "msh-request-id": f"{self.serial:032x}"}

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply (MS-R1)."""
        message = super().message(body, script)
        return {**message, **({"reasoning_content": script.reasoning} if script.reasoning else {})}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give role, reasoning (without a content field), text, calls (MS-S2)."""
        first, *rest = super().deltas(body, script)
        yield first
        for piece in self.cut(script.reasoning):
            yield {"reasoning_content": piece}
        yield from rest

    def call_deltas(self, number: int, name: str, arguments: str) -> Iterator[dict[str, Any]]:
        """Give the deltas of a call; its index may be absent (MS-S6)."""
        for delta in super().call_deltas(number, name, arguments):
            if not self.call_index:
                del delta["tool_calls"][0]["index"]
            yield delta

    def call_id(self, number: int) -> str:
        """Return a call's id, which can be empty (MS-X7)."""
        return "" if self.empty_call_ids else super().call_id(number)

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the end: usage in up to three places (MS-S4), the one in the choice without the cache (MS-S5)."""
        usage = self.usage(body, script)
        inner = {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        choice = {**self.choice({}, script.finish), "usage": inner}
        yield self.chunk(body, [choice], **({"usage": usage} if self.usage_form == "both" else {}))
        if (body.get("stream_options") or {}).get("include_usage"):
            yield self.chunk(body, [], usage=usage)

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the token counts: the cache at the top level (MS-U1), reasoning in the details (MS-R4)."""
        details = {"completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens}}
        cached = {"cached_tokens": script.cached_tokens} if script.cached_tokens else {}
        return {**super().usage(body, script), **cached, **(details if self.reasons(body) else {})}

    def models_body(self) -> Any:
        """Return the model list, with what each can do (MS-N2)."""
        body = super().models_body()
        for entry in body["data"]:
            size = 262_144 if entry["id"].startswith("kimi-k2") else 1_048_576
            entry |= {"context_length": size, "supports_image_in": True, "supports_reasoning": True}
        return body


def _misfits(schema: Any, path: str, definitions: Mapping[str, Any]) -> Iterator[str]:
    """Give what keeps a schema out of the vendor's subset (MS-T3, MS-T4): a second reading of the same rules."""
    if not isinstance(schema, Mapping):
        return
    for word in sorted(_REFUSED_KEYWORDS & set(schema)):
        yield f"At path '{path}': keyword {word} is not supported"
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        if len(schema) > 1 or (schema["$ref"] != "#" and name not in definitions):
            yield f"At path '{path}': $ref must stand alone and refer to #/$defs/"
    elif "anyOf" in schema:
        if "type" in schema:
            yield f"At path '{path}': when using anyOf, type should be defined in anyOf items instead of the parent"
    elif not isinstance(schema.get("type"), str):
        yield f"At path '{path}': type is not defined"
    kinds = {type(value) for value in list_of(schema.get("enum"))}
    if kinds - {str, int, float} or len(kinds) > 1:
        yield f"At path '{path}': enum values must be of one primitive type"
    if isinstance(schema.get("items"), list):
        yield f"At path '{path}': items must be a schema"
    if path and "$defs" in schema:
        yield f"At path '{path}': $defs must be at the root"
    parts = [(f"properties.{name}", part) for name, part in table_of(schema.get("properties")).items()]
    parts += [(f"$defs.{name}", part) for name, part in table_of(schema.get("$defs")).items()]
    parts += [(f"anyOf.{number}", part) for number, part in enumerate(list_of(schema.get("anyOf")))]
    parts += [(name, schema[name]) for name in ("items", "additionalProperties") if name in schema]
    for name, part in parts:
        yield from _misfits(part, f"{path}.{name}".lstrip("."), definitions)
