"""OpenRouter's server side in miniature: what it refuses, in its words, and what it streams, in its shapes."""

from __future__ import annotations

import hashlib
import json
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
    functions_of,
    list_of,
    sse,
    table_of,
)
from chatport_responses.emulator import ResponsesEmulator

__all__ = ["OpenRouterEmulator"]

_EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")
_NOT_IN_GEMINI = ("$defs", "$ref", "const", "title", "examples", "exclusiveMinimum", "exclusiveMaximum")
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "top_logprobs": (0, 20), "min_p": (0, 1), "top_a": (0, 1)}
_PROVIDERS = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google AI Studio"}
_FORMATS = {"openai": "openai-responses-v1", "anthropic": "anthropic-claude-v1", "google": "google-gemini-v1"}
_NATIVE_STOP = {"openai": "completed", "anthropic": "end_turn", "google": "STOP"}
_ERRORS: Mapping[int, tuple[str, str]] = {  # OR-X10 to OR-X24: a sentence, and `error_type`
    400: ("The request is invalid.", "invalid_request"),
    401: ("Missing Authentication header", "authentication"),
    402: ("This request requires more credits, or fewer max_tokens.", "payment_required"),
    403: ("The key may not do this.", "permission_denied"),
    404: ("No endpoints found for this model.", "not_found"),
    408: ("The request timed out.", "timeout"),
    413: ("The request is too large.", "payload_too_large"),
    422: ("The request cannot be processed.", "unprocessable"),
    429: ("Provider returned error", "rate_limit_exceeded"),
    500: ("Internal Server Error", "server"),
    502: ("Provider returned error", "provider_unavailable"),
    503: ("The providers are overloaded.", "provider_overloaded"),
}


class OpenRouterEmulator(ResponsesEmulator, VendorEmulator):
    """OpenRouter's twin, with models of four vendors that differ as they do there.

    Settings: `keep_alives` (comments before the first event, then one between events), `mandatory_models` (they
    always reason), `toolless_models`, `schemaless_models` (some routes ignore `response_format`), `error_in_200` (an
    error with this status in the body or as the first event), `error_mid_stream` (the same after half of the answer),
    `no_choices` (`choices` is null), `repeated_ids` (all calls have one id), `retry_after` (a 429's hint, in its body).
    """

    name = "openrouter"
    shapes: Mapping[str, Any] = {
        **VendorEmulator.shapes,
        "reasoning": {"type": "object", "properties": {"max_tokens": {"type": ["integer", "null"]}}},
        "provider": {"type": "object"},
    }
    models: Sequence[str] = (
        "openai/gpt-5.2",
        "anthropic/claude-sonnet-4.6",
        "anthropic/claude-sonnet-4.5",
        "google/gemini-3.5-flash",
        "deepseek/deepseek-v4-pro",
        "deepseek/deepseek-v4-flash",
    )
    stores = False  # RS-V7, as the three lines below
    least_output = 1
    names_events = False
    ends_with_done = True
    mandatory_models: Sequence[str] = ()
    toolless_models: Sequence[str] = ()
    schemaless_models: Sequence[str] = ()
    keep_alives = 2
    error_in_200 = 0
    error_mid_stream = 0
    no_choices = False
    repeated_ids = False
    retry_after = 0.0

    # --- refusals

    def check_key(self, request: EmulatedRequest) -> None:
        """Refuse calls without the right key (OR-X13). The model list is public."""
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.method == "GET":
            return
        if self.needs_key and not sent:
            raise self.error_for(401)
        if self.api_key is not None and sent != self.api_key:
            raise self.refuse(401, "User not found.")

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        """Return an error: the code is the status, as a number (OR-X1)."""
        metadata = {"metadata": details} if details else {}
        return {"error": {"code": status, "message": message, **metadata}, "user_id": "user_emulated"}

    def error_for(self, status: int) -> Refusal:
        """Return the error with this status, with the cause that it passes on (OR-X3) and the hint (OR-H1)."""
        message, word = _ERRORS.get(status, (f"An emulated error with status {status}.", "unmapped"))
        details: dict[str, Any] = {"error_type": word}
        if message == "Provider returned error":
            details |= {"provider_name": "Acme", "raw": json.dumps({"error": {"message": "The back end is busy."}})}
        if status == 429 and self.retry_after:
            details["retry_after_seconds"] = self.retry_after
        return self.refuse(status, message, **details)

    def passed_on(self, message: str, provider: str) -> Refusal:
        """Return the 400 of a provider, as the router passes it on (OR-X3)."""
        return self.refuse(
            400,
            "Provider returned error",
            provider_name=provider,
            raw=json.dumps({"error": {"code": 400, "message": message}}),
        )

    def unknown_model(self, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a model it does not have (OR-X10)."""
        return self.refuse(400, f"{body.get('model')} is not a valid model ID")

    def wrong_shape(self, found: Misfit, body: Mapping[str, Any]) -> Refusal:
        """Return the answer to a value that cannot be read (OR-X1)."""
        return self.malformed(found.place, found.problem)

    def malformed(self, path: str, message: str) -> Refusal:
        """Return the refusal of a body that does not fit (OR-X1)."""
        issues = json.dumps([{"path": [path], "message": message}])
        return Refusal(400, {"success": False, "error": {"name": "ZodError", "message": issues}})

    def read(self, request: EmulatedRequest) -> Mapping[str, Any]:
        body = super().read(request)
        return body if body.get("model") else {**body, "model": self.models[0]}  # OR-E8

    def check(self, body: Mapping[str, Any]) -> None:
        """Refuse what the router refuses, then what the model's provider does."""
        super().check(body)
        for field, (least, most) in _RANGES.items():  # OR-P2
            value = body.get(field)
            if value is not None and not (isinstance(value, int | float) and least <= value <= most):
                raise self.malformed(field, f"must be {least} to {most}")
        if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
            raise self.malformed("stop", "at most 4")
        self.check_reasoning(body)
        self.check_routes(body)
        author = body["model"].partition("/")[0]
        if author == "google":
            self.check_gemini(body)
        if author == "anthropic" and _begun(body) is not None:
            self.check_prefill(body)
        for details in self.sent_details(body):
            if author == "anthropic" and any(
                d.get("type") == "reasoning.text" and not d.get("signature") for d in details
            ):
                raise self.passed_on("messages.1.content.0: Invalid `signature` in `thinking` block", "Anthropic")

    def check_reasoning(self, body: Mapping[str, Any]) -> None:
        """Refuse contradictions (OR-P4, OR-P6), what is mandatory (OR-P7), and budgets without room (OR-P5)."""
        wanted = body.get("reasoning") or {}
        effort, short = wanted.get("effort"), body.get("reasoning_effort")
        if effort is not None and effort not in _EFFORTS:
            raise self.malformed("reasoning", "unknown effort")
        if (effort and short and effort != short) or (effort and wanted.get("max_tokens") is not None):
            raise self.refuse(400, "Only one of reasoning.effort and reasoning.max_tokens may be given.")
        if "none" in (effort, short) and body["model"] in self.mandatory_models:
            raise self.refuse(400, "Reasoning is mandatory for this endpoint and cannot be disabled.")
        limit, budget = body.get("max_tokens"), wanted.get("max_tokens")
        if body["model"].startswith("anthropic/") and limit and budget and max(budget, 1024) >= limit:
            raise self.passed_on("`max_tokens` must be greater than `thinking.budget_tokens`.", "Anthropic")

    def check_routes(self, body: Mapping[str, Any]) -> None:
        """Refuse what no route can do (OR-T2, OR-J2)."""
        if body.get("tools") and body["model"] in self.toolless_models:
            raise self.refuse(404, "No endpoints found that support tool use.")
        strict = (body.get("provider") or {}).get("require_parameters")
        if strict and "response_format" in body and body["model"] in self.schemaless_models:
            raise self.refuse(404, "No endpoints found that can handle the requested parameters.")

    def check_gemini(self, body: Mapping[str, Any]) -> None:
        """Refuse larger schemas (OR-T3), and tool loops whose details were lost (OR-R2)."""
        for function in functions_of(body):
            found = next(_foreign(function.get("parameters") or {}), None)
            if found:
                raise self.passed_on(f'Invalid JSON payload received. Unknown name "{found}".', "Google AI Studio")
        lost = [m for m in body["messages"] if m.get("tool_calls") and not m.get("reasoning_details")]
        if lost and self.reasons(body):
            raise self.passed_on("Gemini models require OpenRouter reasoning details to be preserved.", "Google")

    def check_prefill(self, body: Mapping[str, Any]) -> None:
        """Refuse an answer that Anthropic's models do not continue (OR-P16)."""
        if body["model"] == "anthropic/claude-sonnet-4.6":
            text = (
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
            raise self.passed_on(text, "Anthropic")
        if self.reasons(body):
            raise self.passed_on("final assistant content cannot be prefilled when thinking is enabled", "Anthropic")
        if str(_begun(body))[-1:].isspace():
            raise self.passed_on("final assistant content cannot end with trailing whitespace", "Anthropic")

    @staticmethod
    def sent_details(body: Mapping[str, Any]) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Give the reasoning details of each earlier answer."""
        for message in body["messages"]:
            yield [detail for detail in list_of(message.get("reasoning_details")) if isinstance(detail, Mapping)]

    # --- Responses (RS-V7)

    def respond_to_items(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """Return the answer; a refusal has a word for its code here."""
        try:
            return super().respond_to_items(body)
        except Refusal as refusal:
            words = {400: "invalid_prompt", 429: "rate_limit_exceeded"}
            code = words.get(refusal.status) or ("server_error" if refusal.status >= 500 else None)
            if code is None or "message" not in refusal.body.get("error", ()):
                raise
            error = {"code": code, "message": refusal.body["error"]["message"]}
            raise Refusal(refusal.status, {"error": error, "metadata": None}, refusal.headers) from None

    def check_model_of_items(self, body: Mapping[str, Any]) -> None:
        """Leave it to `check`."""

    def as_chat(self, body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        view = super().as_chat(body, items)
        view.pop("reasoning_effort", None)
        for message in view["messages"]:
            if "reasoning_content" in message:
                message["reasoning_details"] = [{"type": "reasoning.encrypted"}]
        return {**view, **{name: body[name] for name in ("reasoning", "provider", "plugins") if name in body}}

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        self.check(view)

    def check_reasoning_item(self, item: Mapping[str, Any], where: str, follows: str | None) -> None:
        """Refuse another family's thoughts (OR-R6), or what is not sealed (OR-R4). They may stand behind their text."""
        author = str(self.requests[-1].json().get("model")).partition("/")[0]
        form = _FORMATS.get(author)
        if form is not None and item.get("format") not in (None, form):
            raise self.passed_on(f"Invalid reasoning format {item['format']}", _PROVIDERS[author])
        if author in ("anthropic", "google") and not item.get("encrypted_content"):
            raise self.passed_on("Invalid `signature` in `thinking` block", _PROVIDERS[author])

    def response_id(self) -> str:
        return self.reply_id()

    def output(self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the output items; Gemini's thoughts follow their text (recorded 2026)."""
        items = list(super().output(body, view, script))
        thoughts = [item for item in items if item["type"] == "reasoning"]
        rest = [item for item in items if item["type"] != "reasoning"]
        yield from [*rest, *thoughts] if _author(body) == "google" else [*thoughts, *rest]

    def reasoning_item(self, body: Mapping[str, Any], thoughts: str) -> dict[str, Any]:
        form = _FORMATS.get(_author(body), "unknown")
        summary = [{"type": "summary_text", "text": thoughts}]
        item = super().reasoning_item(body, thoughts)
        return {**item, "status": "completed", "format": form, "summary": summary}

    def usage_of_items(self, script: Script) -> dict[str, Any]:
        usage = super().usage_of_items(script)
        cost = round((script.input_tokens + 4 * script.output_tokens) * 1e-6, 9)
        return {**usage, "cost": cost, "is_byok": False, "cost_details": {"upstream_inference_cost": cost}}

    def item_stream(self, whole: Mapping[str, Any]) -> Iterator[bytes]:
        yield from [b": OPENROUTER PROCESSING\n\n"] * self.keep_alives
        yield from super().item_stream(whole)

    # --- what the model says

    def reasons(self, body: Mapping[str, Any]) -> bool:
        """It reasons when asked to, or when it always does (OR-P4, OR-P6); a forced call ends it (OR-T4)."""
        wanted, effort = body.get("reasoning"), body.get("reasoning_effort")
        if body["model"].startswith("anthropic/") and body.get("tool_choice") not in (None, "auto", "none"):
            return False
        asked = wanted is not None and wanted.get("effort") != "none" and wanted.get("enabled") is not False
        short = effort not in (None, "none") or body.get("include_reasoning") is True
        return asked or short or body["model"] in self.mandatory_models

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return what the model says. A route that does not know `response_format` answers in prose (OR-J2)."""
        if body["model"] in self.schemaless_models:
            body = {name: value for name, value in body.items() if name != "response_format"}
        script = super().script(body)
        if script.refusal:
            script = attrs.evolve(script, text=script.refusal, refusal="")
        if _author(body) in ("anthropic", "deepseek"):  # OR-P16; others answer anew
            return attrs.evolve(script, text=script.text.removeprefix(_begun(body) or ""))
        return script

    def chat(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """Return the answer, or what comes in its place with a 200 (OR-X2, OR-S6)."""
        if not (self.error_in_200 or self.no_choices):
            return super().chat(body)
        self.check(body)
        value = self.error_for(self.error_in_200).body if self.error_in_200 else self.chunk(body, None)
        if not body.get("stream"):
            return self.reply(200, value)
        return EmulatedResponse(200, self.headers("text/event-stream"), [sse(value), b"data: [DONE]\n\n"])

    # --- shapes

    def headers(self, content_type: str) -> dict[str, str]:
        """Return the headers: no rate limits on success (OR-H1), the reply's id (OR-H2)."""
        return {"content-type": content_type, "x-generation-id": self.reply_id()}

    def reply_id(self) -> str:
        """Return the id of this reply (OR-S2)."""
        return f"gen-1790000000-{hashlib.md5(str(self.serial).encode()).hexdigest()[:20]}"

    def call_id(self, number: int) -> str:
        """Return the id of a tool call; some models repeat it (OR-I8)."""
        return super().call_id(0 if self.repeated_ids else number)

    def chunk(self, body: Mapping[str, Any], choices: Any, **more: Any) -> dict[str, Any]:
        """Return a chunk: the provider is named beside the model (OR-S2)."""
        chunk = super().chunk(body, choices)
        return {**chunk, "provider": _PROVIDERS.get(_author(body), "Acme"), **more}

    def choice(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        """Return the choice of a chunk; the role is in each delta (OR-S2)."""
        whole = {"role": "assistant", "content": "", **delta}
        return {"index": 0, "delta": whole, "finish_reason": finish, "native_finish_reason": finish, "logprobs": None}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the deltas: reasoning twice, as a text and as details (OR-S9), the signature after the text (OR-S8)."""
        yield {}
        shown = not (body.get("reasoning") or {}).get("exclude")
        pieces = self.details(body, script) if script.reasoning else []
        last = pieces.pop() if pieces and _author(body) in _FORMATS else None
        for piece in pieces:
            yield {"reasoning": (piece.get("text") or piece.get("summary")) if shown else None} | (
                {"reasoning_details": [piece]} if shown else {}
            )
        yield from list(super().deltas(body, script))[1:]
        if last:
            yield {"reasoning": None, "reasoning_details": [last]}

    def details(self, body: Mapping[str, Any], script: Script) -> list[dict[str, Any]]:
        """Return the streamed details of a model's family, the signed or encrypted one last."""
        author = _author(body)
        common = {"format": _FORMATS.get(author, "unknown"), "index": 0}
        if author == "openai":
            pieces = [{"type": "reasoning.summary", "summary": piece, **common} for piece in self.cut(script.reasoning)]
        else:
            pieces = [{"type": "reasoning.text", "text": piece, **common} for piece in self.cut(script.reasoning)]
        seal = hashlib.sha256(script.reasoning.encode()).hexdigest()
        if author == "anthropic":
            return [*pieces, {"type": "reasoning.text", "signature": seal, **common}]
        if author == "google":  # OR-S8: the same index as the text
            pieces[-1] = {**pieces[-1], "signature": seal[:16]}
        elif author != "openai":
            return pieces
        return [*pieces, {"type": "reasoning.encrypted", "data": seal, "id": f"rs_{self.serial}", **common}]

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the message of a plain reply, with the details whole (OR-R1)."""
        message = {**super().message(body, script), "refusal": None, "reasoning": None}
        for number, call in enumerate(message.get("tool_calls") or ()):
            call["index"] = number
        if script.reasoning:
            whole: dict[str, dict[str, Any]] = {}
            for piece in self.details(body, script):
                held = whole.setdefault(piece["type"], {**piece, "text": "", "summary": ""})
                held |= {k: held[k] + v if k in ("text", "summary") else v for k, v in piece.items()}
            shown = not (body.get("reasoning") or {}).get("exclude")
            items = [{k: v for k, v in item.items() if v != ""} for item in whole.values()]
            items = [item for item in items if shown or item["type"] == "reasoning.encrypted"]
            message |= {"reasoning": script.reasoning if shown else None, "reasoning_details": items}
        return message

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return a plain reply."""
        choice = {
            "index": 0,
            "logprobs": None,
            "finish_reason": script.finish,
            "native_finish_reason": _native(body, script),
            "message": self.message(body, script),
        }
        whole = self.chunk(body, [choice], usage=self.usage(body, script))
        return {**whole, "object": "chat.completion", "system_fingerprint": None}

    def finish_chunks(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the finish, and once more a choice, now with the usage, asked for or not (OR-S3, OR-P8)."""
        choice = {**self.choice({}, script.finish), "native_finish_reason": _native(body, script)}
        yield self.chunk(body, [choice])
        yield self.chunk(body, [choice], usage=self.usage(body, script))

    def stream(self, body: Mapping[str, Any], script: Script) -> Iterator[bytes]:
        """Give the stream: comments first and between (OR-S1); an error may end it (OR-S6)."""
        comment = b": OPENROUTER PROCESSING\n\n"
        yield from [comment] * self.keep_alives
        pieces = list(super().stream(body, script))
        if self.error_mid_stream:
            error = self.error_for(self.error_mid_stream).body["error"]
            pieces[len(pieces) // 2 :] = [sse(self.chunk(body, [self.choice({}, "error")], error=error)), pieces[-1]]
        for piece in pieces:
            yield piece
            if self.keep_alives:
                yield comment

    def usage(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        """Return the counts, with what was charged (OR-U1)."""
        cost = round((script.input_tokens + 4 * script.output_tokens) * 1e-6, 9)
        return {
            **super().usage(body, script),
            "cost": cost,
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
            "cost_details": {"upstream_inference_cost": cost},
            "completion_tokens_details": {"reasoning_tokens": script.reasoning_tokens, "image_tokens": 0},
        }

    def models_body(self) -> Any:
        """Return the model list (OR-E3, OR-E4, OR-E5: prices are texts, for one token)."""
        entry = {"created": 1_790_000_000, "context_length": 131_072, "pricing": {"prompt": "0.000001"}}
        return {"data": [{"id": name, "name": name, **entry} for name in self.models], "total_count": len(self.models)}


def _author(body: Mapping[str, Any]) -> str:
    return str(body.get("model")).partition("/")[0]


def _begun(body: Mapping[str, Any]) -> str | None:
    """Return the beginning of the answer, from which the model is to go on."""
    last = body["messages"][-1]
    return last["content"] if last.get("role") == "assistant" and isinstance(last.get("content"), str) else None


def _native(body: Mapping[str, Any], script: Script) -> str:
    """Return the provider's own word (OR-S5)."""
    stopped = script.finish in ("stop", "tool_calls")
    return _NATIVE_STOP.get(_author(body), script.finish) if stopped else script.finish


def _foreign(schema: Any) -> Iterator[str]:
    """Give what Gemini's schema language does not have."""
    if isinstance(schema, Mapping):
        yield from (word for word in _NOT_IN_GEMINI if word in schema)
        options = list_of(schema.get("anyOf"))
        if {"type": "null"} in options:
            yield "anyOf"
        if any(not isinstance(value, str) for value in list_of(schema.get("enum"))):
            yield "enum"
        for part in (*table_of(schema.get("properties")).values(), schema.get("items"), *options):
            yield from _foreign(part)
