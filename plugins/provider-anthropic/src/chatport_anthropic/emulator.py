"""Anthropic's server side in miniature: what the Messages API refuses, in its words, and what it streams."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from chatport.testing import (
    EmulatedRequest,
    EmulatedResponse,
    Misfit,
    Refusal,
    Script,
    VendorEmulator,
    list_of,
    sse,
    table_of,
    text_of,
)

from .batch_emulator import MessageBatches
from .compatible_emulator import CompatibleEndpoint
from .emulator_models import ALWAYS, MODELS, alias, rules_of
from .emulator_shapes import SHAPES

__all__ = ["AnthropicEmulator"]


_KNOWN = {
    "model", "messages", "max_tokens", "system", "temperature", "top_p", "top_k", "stop_sequences", "metadata",
    "service_tier", "thinking", "output_config", "output_format", "cache_control", "tools", "tool_choice", "stream",
    "inference_geo", "container", "context_management", "mcp_servers", "speed", "fallbacks",
}  # fmt: skip
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error",
    500: "api_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_SIGNED = ("thinking", "redacted_thinking")
_UNSUPPORTED = ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems")
_REAL_SIGNATURE = re.compile(r"E[A-Za-z0-9+/]{99,}={0,2}")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class AnthropicEmulator(MessageBatches, VendorEmulator):
    """Anthropic's twin. It checks signatures, and on the newest models that they stand where they were made.

    It serves the OpenAI-compatible endpoint too.

    Settings: `redacts` (thinking comes encrypted), `cached_tokens` (so much of each prompt is in the cache),
    `stop_reason` (end with this word), `stream_error` (a stream breaks off with this error type) after
    `stream_error_after` events, `duplicate_start` (the first event comes twice), `context_tokens`, `models`, `api_key`.
    """

    name = "anthropic"
    chat_path = "/messages"
    shapes = SHAPES
    models: Sequence[str] = tuple(MODELS)
    model_form = (
        r"(\S+/)?claude-(\d\S*|(\d(-\d)?-)?(haiku|sonnet|opus|fable|mythos|instant)\b\S*)"  # the classes of AN-K2
    )
    retired: Mapping[str, str] = {  # section 11, below its table of models
        "claude-3-*": "2026-06-15",
        "claude-opus-4": "2026-06-15",
        "claude-opus-4-[02]*": "2026-06-15",
        "claude-sonnet-4": "2026-06-15",
        "claude-sonnet-4-[02]*": "2026-06-15",
        "claude-mythos-preview": "2026-06-30",
    }
    context_tokens = 1_000_000
    redacts = False
    cached_tokens = 0
    stop_reason = ""
    stream_error = ""
    stream_error_after = 0
    duplicate_start = False

    def _respond(self, request: EmulatedRequest) -> EmulatedResponse:
        endpoint = CompatibleEndpoint(self)
        own = request.path.split("?")[0].endswith(endpoint.chat_path)
        return endpoint._respond(request) if own else super()._respond(request)

    # --- refusals

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse wrong keys (AN-A2, AN-X6), and a chat without its version (AN-A3)."""
        sent = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if (self.needs_key and not sent) or (self.api_key is not None and sent != self.api_key):
            raise self.refuse(401, "invalid x-api-key")
        if "anthropic-version" not in request.headers:
            raise self.refuse(400, "anthropic-version: header is required")

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error in the vendor's shape (section 9 of its facts)."""
        kind = details.get("type") or _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": self._request_id()}

    def error_for(self, status: int) -> Refusal:
        """Return the vendor's error with this status; only a rate limit says when to come back (AN-X12)."""
        refusal = self.refuse(status, "Overloaded" if status == 529 else f"An emulated error with status {status}.")
        refusal.headers = {"retry-after": "1"} if status == 429 else {}
        return refusal

    def check_model(self, body: Mapping[str, Any]) -> None:
        """Refuse a model that is not there; one with a date, or as a gateway calls it, is the same model."""
        super().check_model({**body, "model": body["model"] if body["model"] in self.models else alias(body)})

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model that is not there (AN-X9)."""
        return self.refuse(404, f"model: {body.get('model')}")

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value that cannot be read, with the path as it is written here."""
        path = found.place.replace("[", ".").replace("]", "")
        words = "Field required" if found.is_missing else "Input does not match the expected shape."
        return self.bad(f"{path}: {words}")

    def bad(self, message: str) -> Refusal:
        """Return a refusal of the request itself (AN-X1)."""
        return self.refuse(400, message)

    # --- what is checked

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what the vendor refuses: shapes first, then the model's own rules, then the conversation."""
        for name in ("model", "messages", "max_tokens"):  # AN-R1
            if body.get(name) is None:
                raise self.bad(f"{name}: Field required")
        for name in body:  # AN-R14
            if name not in _KNOWN:
                raise self.bad(f"{name}: Extra inputs are not permitted")
        if not body["messages"]:
            raise self.bad("messages: at least one message is required")
        self.check_directed(body)
        self.check_model(body)
        self.check_thinking(body)
        self.check_sampling(body)
        self.check_tools(body)
        self.check_output(body)
        self.check_turns(body)
        self.check_thoughts(body)
        self.check_caching(body)
        self.check_context(body)

    def check_thinking(self, body: Mapping[str, Any]) -> None:
        """Refuse kinds of thinking and efforts that the model does not have (AN-R10, AN-K3)."""
        rules, thinking = rules_of(body), body.get("thinking") or {}
        kind, effort = thinking.get("type"), (body.get("output_config") or {}).get("effort")
        if kind is not None and kind not in rules.thinking:
            raise self.bad(
                f'"thinking.type.{kind}" is not supported for this model. Use "thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.'
            )
        if effort is not None and effort not in rules.efforts:
            levels = ", ".join(sorted(rules.efforts))
            raise self.bad(f"This model does not support effort level '{effort}'. Supported levels: {levels}.")
        if kind == "enabled":
            budget = thinking.get("budget_tokens") or 0
            if budget < 1024:
                raise self.bad("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
            if budget >= body["max_tokens"]:  # AN-K11
                raise self.bad("`max_tokens` must be greater than `thinking.budget_tokens`.")

    def check_sampling(self, body: Mapping[str, Any]) -> None:
        """Refuse limits and sampling values (AN-R1, AN-R4 to AN-R7)."""
        rules, temperature = rules_of(body), body.get("temperature")
        if body["max_tokens"] < 0:  # AN-R1: 0 fills the cache
            raise self.bad("max_tokens: Input should be greater than or equal to 0")
        if body["max_tokens"] > rules.max_tokens:
            raise self.bad(f"max_tokens: {body['max_tokens']} > {rules.max_tokens}, which is the maximum allowed")
        if temperature is not None and not 0 <= temperature <= 1:
            raise self.bad("temperature: range: 0..1")
        if not rules.sampling:
            for name in ("temperature", "top_p", "top_k"):
                if body.get(name) not in (None, 1):
                    raise self.bad(f"`{name}` is not supported for this model.")
        if temperature not in (None, 1) and self.reasons(body):
            raise self.bad("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.")
        if temperature is not None and body.get("top_p") is not None and not rules.both_samplings:  # AN-R5
            raise self.bad("`temperature` and `top_p` cannot both be specified for this model.")
        if any(not str(text).strip() for text in body.get("stop_sequences") or ()):
            raise self.bad("stop_sequences: each stop sequence must contain non-whitespace")

    def check_tools(self, body: Mapping[str, Any]) -> None:
        """Refuse tools and choices (AN-T1 to AN-T7, AN-T18)."""
        tools, choice = body.get("tools") or [], (body.get("tool_choice") or {}).get("type")
        names = [tool["name"] for tool in tools if tool.get("name") is not None]  # a set of a server's has none
        for number, tool in enumerate(tools):
            if not _TOOL_NAME.fullmatch(str(tool.get("name"))):
                raise self.bad(f"tools.{number}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
            if tool.get("type", "custom") == "custom":
                self.check_input_schema(f"tools.{number}.custom.input_schema", tool.get("input_schema"))
        if len(set(names)) < len(names):
            raise self.bad("tools: Tool names must be unique.")
        if sum(bool(tool.get("strict")) for tool in tools) > 20:
            raise self.bad("Too many strict tools (limit: 20)")
        if choice in ("any", "tool") and not rules_of(body).forced:
            raise self.bad('tool_choice: type "tool" and "any" are not supported for this model.')
        if choice in ("any", "tool") and (body.get("thinking") or {}).get("type") == "enabled":
            raise self.bad("Thinking may not be enabled when tool_choice forces tool use.")

    def check_input_schema(self, place: str, schema: Any) -> None:
        """Refuse arguments that are no object (AN-T1)."""
        if not isinstance(schema, dict):
            raise self.bad(f"{place}: Input does not match the expected shape.")
        if "type" not in schema:
            raise self.bad(f"{place}.type: Field required")
        if schema["type"] != "object":
            raise self.bad(f"{place}.type: Input should be 'object'")
        if schema.keys() & {"anyOf", "oneOf", "allOf"}:  # AN-T23
            raise self.bad(f"{place}: input_schema does not support oneOf, allOf, or anyOf at the top level")

    def check_output(self, body: Mapping[str, Any]) -> None:
        """Refuse schemas outside the subset (AN-O3)."""
        wanted = (body.get("output_config") or {}).get("format") or {}
        if wanted:
            self.check_schema("output_config.format.schema", wanted["schema"])
        for number, tool in enumerate(body.get("tools") or ()):
            if tool.get("strict"):
                self.check_schema(f"tools.{number}.custom", tool.get("input_schema"))

    def check_schema(self, place: str, schema: Any) -> None:
        """Refuse a schema that cannot be enforced."""
        for node in _nodes(schema):
            if node.get("type") == "object" and node.get("additionalProperties") is not False:
                raise self.bad(f"{place}: For 'object' type, 'additionalProperties' must be explicitly set to false")
            free = [part for part in table_of(node.get("properties")).values() if part in (True, {})]
            for name in ["properties"] * bool(free) + [name for name in _UNSUPPORTED if name in node]:
                if free or not isinstance(node[name], dict):
                    raise self.bad(f"{place}: For '{node.get('type')}' type, property '{name}' is not supported")

    def check_turns(self, body: Mapping[str, Any]) -> None:
        """Refuse blank texts, calls and results that do not match, and prefill (AN-T9 to AN-T14)."""
        open_calls: list[str] = []
        made: set[str] = set()
        for number, turn in enumerate(body["messages"]):
            blocks = _blocks(turn)
            self.check_ids(number, blocks, made)
            if turn["role"] not in ("user", "assistant") and not self._goes_in_between(body, number):
                raise self.bad(f"messages.{number}.role: Input should be 'user' or 'assistant'")
            if any(block["type"] == "text" and not block["text"].strip() for block in blocks):
                raise self.bad("messages: text content blocks must be non-empty")
            answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
            kinds = [block["type"] == "tool_result" for block in blocks]
            missing = [call for call in open_calls if call not in answered]
            if missing or kinds != sorted(kinds, reverse=True):
                ids = ", ".join(missing)
                words = "`tool_use` ids were found without `tool_result` blocks immediately after"
                raise self.bad(f"messages.{number - 1}: {words}: {ids}")
            if any(call not in open_calls for call in answered):
                raise self.bad(f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks")
            if any(block["type"] == "tool_result" and block.get("content") == [] for block in blocks):
                raise self.bad(f"messages.{number}: tool_result content must not be empty")
            open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        self.check_prefill(body, _blocks(body["messages"][-1]))

    @staticmethod
    def _goes_in_between(body: Mapping[str, Any], number: int) -> bool:
        """Whether a system turn stands where newer models take one: before an answer, or at the end (AN-R13)."""
        turns = body["messages"]
        in_place = turns[number + 1]["role"] == "assistant" if number + 1 < len(turns) else True
        return turns[number]["role"] == "system" and in_place and not rules_of(body).sampling

    def check_caching(self, body: Mapping[str, Any]) -> None:
        """Refuse more than four marks for the cache (AN-R12); the words are a guess."""
        blocks = [*list_of(body.get("system")), *(block for turn in body["messages"] for block in _blocks(turn))]
        marks = sum("cache_control" in part for part in (body, *blocks, *(body.get("tools") or ())))
        if marks > 4:
            raise self.bad(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")

    def check_ids(self, number: int, blocks: Sequence[Mapping[str, Any]], made: set[str]) -> None:
        """Refuse ids of calls in other letters (AN-T22), and one that a call before it has (AN-T9)."""
        for place, block in enumerate(blocks):
            if block["type"] != "tool_use":
                continue
            where = f"messages.{number}.content.{place}"
            if not _CALL_ID.fullmatch(block["id"]):
                raise self.bad(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
            if block["id"] in made:
                raise self.bad(f"{where}: `tool_use` ids must be unique")
            made.add(block["id"])

    def check_prefill(self, body: Mapping[str, Any], last: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a last assistant turn where the model does not continue it (AN-T14); a paused one it does (AN-S19)."""
        paused = any(block["type"] == "server_tool_use" for block in last)
        if body["messages"][-1]["role"] != "assistant" or paused:
            return
        if not rules_of(body).prefill:
            raise self.bad(
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
        if (body.get("thinking") or {}).get("type") == "enabled":
            raise self.bad("messages: the final assistant content cannot be prefilled when thinking is enabled")
        text = str(last[-1].get("text", "x")) if last else "x"
        if text != text.rstrip():
            raise self.bad("messages: final assistant content cannot end with trailing whitespace")

    def check_thoughts(self, body: Mapping[str, Any]) -> None:
        """Refuse thinking that was changed, unsigned or moved, and tool loops without it (AN-K5 to AN-K8)."""
        for number, turn in enumerate(body["messages"]):
            for place, block in enumerate(_blocks(turn)):
                if block["type"] == "thinking" and not block.get("signature"):
                    raise self.bad(f"messages.{number}.content.{place}.thinking.signature: Field required")
                if block["type"] in _SIGNED:
                    self.check_signature(body, number, place, block)
        if (body.get("thinking") or {}).get("type") != "enabled":
            return
        for turn in reversed(body["messages"]):
            kinds = [block["type"] for block in _blocks(turn)]
            if turn["role"] == "user" and "tool_result" not in kinds:
                return
            if turn["role"] == "assistant" and "tool_use" in kinds and kinds[0] not in _SIGNED:
                raise self.bad("Expected `thinking` or `redacted_thinking`, but found `tool_use`.")

    def check_signature(self, body: Mapping[str, Any], number: int, place: int, block: Mapping[str, Any]) -> None:
        """Refuse a signature that is not the one this block was given here; the vendor's own cannot be checked."""
        text, given = block.get("thinking", ""), str(block.get("signature") or block.get("data"))
        if _REAL_SIGNATURE.match(given):
            return
        before = {**body, "messages": body["messages"][:number]}
        if given in (_signature(before, text), _signature(before, "")):
            return
        if rules_of(body).bound:
            raise self.bad(
                f"messages.{number}.content.{place}: Invalid `signature` in `thinking` block. The block is bound to a "
                "different conversation. Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` "
                'to "drop_block"'
            )
        raise self.bad("`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.")

    def check_context(self, body: Mapping[str, Any]) -> None:
        """Refuse what is longer than the window (AN-X2)."""
        tokens = len(json.dumps(body["messages"])) // 4
        if tokens > self.context_tokens:
            raise self.bad(f"prompt is too long: {tokens} tokens > {self.context_tokens} maximum")

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """Thinking is on by request, or by the model's default (AN-K2)."""
        kind = (body.get("thinking") or {}).get("type")
        return rules_of(body).thinks if kind is None else kind != "disabled"

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says, by way of the same request in the standard's shape."""
        script = super().script(_standard(body))
        last = body["messages"][-1]
        begun = text_of(last["content"]) if last["role"] == "assistant" else ""
        rest = script.text.removeprefix(begun)  # AN-T14: a given beginning is not repeated
        return attrs.evolve(script, text=rest, cached_tokens=min(self.cached_tokens, script.input_tokens))

    def content(self, body: Mapping[str, Any], script: Script) -> list[dict[str, Any]]:
        """Return the blocks of the answer: thinking first, then text, then calls (AN-P9)."""
        blocks: list[dict[str, Any]] = []
        if script.reasoning and self.redacts:
            blocks.append({"type": "redacted_thinking", "data": _signature(body, "")})
        elif script.reasoning:
            shown = (body.get("thinking") or {}).get("display") or ("omitted" if rules_of(body).bound else "summarized")
            text = "" if shown == "omitted" else script.reasoning  # AN-K4
            blocks.append({"type": "thinking", "thinking": text, "signature": _signature(body, text)})
        if script.text:
            blocks.append({"type": "text", "text": script.text})
        for number, (name, arguments) in enumerate(script.calls):
            call_id = f"toolu_{self.serial:04d}_{number}"
            blocks.append({"type": "tool_use", "id": call_id, "name": name, "input": arguments})
        return blocks

    def ending(self, script: Script) -> dict[str, Any]:
        """Return the stop reason and what belongs to it (AN-S14 to AN-S20)."""
        if script.refusal:
            details = {"type": "refusal", "category": "general_harms", "explanation": script.refusal}
            return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
        word = self.stop_reason or _STOPS[script.finish]
        return {"stop_reason": word, "stop_sequence": None, "stop_details": None}

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: the request id, and the headroom with moments of reset (AN-H1, AN-H2)."""
        charset = "; charset=utf-8" if content_type == "text/event-stream" else ""
        numbers = {"limit": "4000", "remaining": "3999", "reset": "2026-11-22T12:00:30Z"}
        kinds = ("requests", "tokens", "input-tokens", "output-tokens")
        limits = {f"anthropic-ratelimit-{kind}-{name}": value for kind in kinds for name, value in numbers.items()}
        date = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}
        return {"content-type": content_type + charset, "request-id": self._request_id(), **date, **limits}

    def _request_id(self) -> str:
        return f"req_emulated{self.serial:08d}"

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts: input without what came from the cache (AN-U1, AN-U2)."""
        return {
            "input_tokens": script.input_tokens - script.cached_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": script.cached_tokens,
            "output_tokens": script.output_tokens,
            "output_tokens_details": {"thinking_tokens": script.reasoning_tokens},
        }

    def envelope(self, body: Mapping[str, Any], usage: Mapping[str, Any]) -> dict[str, Any]:
        """Return a message without content and end (AN-S3)."""
        more = {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}}
        ends = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        counts = {**usage, **more, "service_tier": "standard", "inference_geo": "global"}
        envelope = {"id": f"msg_emulated{self.serial:08d}", "type": "message", "role": "assistant", "content": []}
        return {**envelope, "model": body["model"], **ends, "usage": counts}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply. Arguments that were cut, or are no JSON, cannot be shown as an object: left out."""
        content = self.content(body, script)
        for block in content:
            if block["type"] == "tool_use":
                block["input"] = _input(block["input"])
        return {**self.envelope(body, self.usage(body, script)), "content": content, **self.ending(script)}

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the event stream, whole or broken off by an error (AN-S2, AN-S10, AN-S13)."""
        events = list(self.events(body, script))
        if self.duplicate_start:
            events.insert(1, events[0])
        if self.stream_error:
            inner = {"details": None, "type": self.stream_error, "message": "Overloaded"}
            error = {"type": "error", "error": inner, "request_id": self._request_id()}
            events = [*events[: self.stream_error_after], error]
        for event in events:
            yield sse(event, event["type"])

    def events(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the events of a whole answer."""
        usage, content = self.usage(body, script), self.content(body, script)
        first = {name: count for name, count in usage.items() if name != "output_tokens_details"}
        yield {"type": "message_start", "message": self.envelope(body, {**first, "output_tokens": 1})}
        for index, block in enumerate(content):
            start, deltas = self.pieces(block)
            yield {"type": "content_block_start", "index": index, "content_block": start}
            if index == 0:
                yield {"type": "ping"}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            if block["type"] != "tool_use" or script.finish != "length":  # AN-S7
                yield {"type": "content_block_stop", "index": index}
        yield {"type": "message_delta", "delta": self.ending(script), "usage": usage}
        yield {"type": "message_stop"}

    def pieces(self, block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return how a block starts, and its deltas (AN-S4 to AN-S6, AN-S8)."""
        match block["type"]:
            case "thinking":
                texts = [{"type": "thinking_delta", "thinking": piece} for piece in self.cut(block["thinking"])]
                signature = {"type": "signature_delta", "signature": block["signature"]}
                return {"type": "thinking", "thinking": "", "signature": ""}, [*texts, signature]
            case "text":
                deltas = [{"type": "text_delta", "text": piece} for piece in self.cut(block["text"])]
                return {"type": "text", "text": ""}, deltas
            case "tool_use":
                cuts = re.findall(r".{1,6}", block["input"]) if block["input"] != "{}" else []
                return {**block, "input": {}}, [
                    {"type": "input_json_delta", "partial_json": piece} for piece in ("", *cuts)
                ]
            case _:
                return dict(block), []

    def models_body(self) -> Any:
        """Return the model list (AN-E2)."""
        names = list(self.models)
        data = [
            {
                "type": "model",
                "id": name,
                "display_name": name,
                "created_at": "2026-09-22T00:00:00Z",
                "max_input_tokens": self.context_tokens,
                "max_tokens": MODELS.get(name, ALWAYS).max_tokens,
            }
            for name in names
        ]
        return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}


def _blocks(turn: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = turn.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _input(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return {}


def _signature(body: Mapping[str, Any], text: str) -> str:
    """Sign a thought; on bound models together with the model and all that came before (AN-K7)."""
    bound = [body.get("model"), body.get("system"), body.get("tools"), body["messages"]] if rules_of(body).bound else []
    return "sig_" + hashlib.sha256(json.dumps([text, bound], sort_keys=True).encode()).hexdigest()


def _nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from _nodes(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _nodes(part)


def _standard(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request as the standard would have it, for the base to make a script of."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": text_of(body.get("system"))}]
    for turn in body["messages"] if isinstance(body.get("messages"), list) else ():
        blocks = _blocks(turn)
        results = [block for block in blocks if block.get("type") == "tool_result"]
        messages += [{"role": "tool", "content": text_of(block.get("content"))} for block in results]
        if len(results) < len(blocks):
            messages.append({"role": turn.get("role"), "content": [b for b in blocks if b.get("type") == "text"]})
    view: dict[str, Any] = {"model": body.get("model"), "messages": messages, "max_tokens": body.get("max_tokens")}
    functions = [
        {"name": tool["name"], "parameters": tool["input_schema"]}
        for tool in body.get("tools") or ()
        if "input_schema" in tool and tool.get("name") is not None
    ]
    view["thinking"] = body.get("thinking")
    view["tools"] = [{"type": "function", "function": function} for function in functions]
    choice = body.get("tool_choice") or {}
    named = {"type": "function", "function": {"name": choice.get("name")}}
    view["tool_choice"] = {"any": "required", "tool": named, "none": "none", "auto": "auto"}.get(choice.get("type", ""))
    wanted = (body.get("output_config") or {}).get("format")
    if wanted:
        view["response_format"] = {"type": "json_schema", "json_schema": {"schema": wanted["schema"]}}
    return view
