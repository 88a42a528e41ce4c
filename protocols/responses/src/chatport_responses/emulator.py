"""The server's side of the Responses protocol, for the emulators of vendors that serve it.

It is written from the same numbered facts as the hooks, and shares no code with them. A vendor's emulator puts it
before its base: `class AcmeEmulator(ResponsesEmulator, VendorEmulator)`, and overrides what is different at its vendor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chatport.testing import EmulatedRequest, EmulatedResponse, Refusal, Script, VendorEmulator, sse

__all__ = ["ResponsesEmulator"]

_ABSENT = {  # RS-R2
    "n", "seed", "stop", "logit_bias", "presence_penalty", "frequency_penalty", "logprobs", "prediction", "modalities",
    "audio",
}  # fmt: skip
_MOVED = {  # RS-R3
    "response_format": "text.format",
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
}
_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}
_USER_PARTS = ("input_text", "input_image", "input_file")
_ANSWER_PARTS = ("output_text", "refusal")
_TEXT: Mapping[str, Any] = {"type": "string"}
_OBJECTS: Mapping[str, Any] = {"type": "array", "items": {"type": "object"}}
_PARTS: Mapping[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"type": _TEXT, "text": _TEXT, "refusal": _TEXT},
        "required": ["type"],
    },
}
_SHAPES: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "model": _TEXT,
        "input": {
            "anyOf": [
                _TEXT,
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": _TEXT, "role": _TEXT, "id": _TEXT, "call_id": _TEXT, "name": _TEXT,
                            "arguments": _TEXT, "summary": _PARTS, "encrypted_content": {"type": ["string", "null"]},
                            "content": {"anyOf": [_TEXT, _PARTS, {"type": "null"}]},
                            "output": {"anyOf": [_TEXT, _PARTS]},
                        },
                    },
                },
            ]
        },
        "tools": _OBJECTS,
        "text": {"type": "object", "properties": {"format": {"type": "object"}}},
        "reasoning": {"type": ["object", "null"]},
        "max_output_tokens": {"type": ["integer", "null"]},
        "previous_response_id": {"type": ["string", "null"]},
        "stream": {"type": ["boolean", "null"]},
    },
}  # fmt: skip
"""What of a request is read here, and its types: anything else would end in a crash of ours."""
_PROGRESS = {"image_generation_call": "generating", "code_interpreter_call": "interpreting"}  # RS-E11
_PIECE = 6
"""Characters of the arguments of a call in one event."""


class ResponsesEmulator(VendorEmulator):
    """Answers `POST …/responses`. What the model says comes from the same words as in chat; see `VendorEmulator`."""

    stores = True
    """Whether answers are kept, and found again by `previous_response_id`."""
    summary_of_reasoning = True
    """Whether reasoning is shown, as a summary, where it was asked for."""
    reasoning_as_text = False
    """Whether reasoning is shown unasked, as it is (RS-E10), and goes back so, in place of something sealed."""
    known_parameters: Sequence[str] = ()
    """All fields that a request may have, empty: any but those that the protocol does not have (RS-R4)."""
    ignores_unknown = False
    """Whether fields that it does not know are passed over in silence."""
    known_items: Sequence[str] = ()
    """All kinds of items that a request may have, empty: any."""
    longest_call_id: int | None = 64
    """In characters (RS-O6); None: any."""
    least_output = 16
    """The least `max_output_tokens` (RS-R5)."""
    names_events = True
    """Whether an `event:` line repeats the type of each event (RS-V7)."""
    ends_with_done = False
    """Whether `[DONE]` follows the last event, which is otherwise the end (RS-V7)."""
    stream_fails_with = 0
    """The status of the error that ends a stream after half of its events (RS-X20); 0: none does."""

    def routes(self) -> Mapping[str, Callable[[EmulatedRequest], EmulatedResponse]]:
        return {"/responses": lambda request: self.respond_to_items(self.fitting(request, _SHAPES)), **super().routes()}

    def respond_to_items(self, body: Mapping[str, Any]) -> EmulatedResponse:
        """Return the answer to a request in this protocol."""
        self.check_parameters(body)
        items = self._with_earlier(body)
        self.check_items(items)
        view = self.as_chat(body, items)
        wanted = self.commands(view).get("error")
        if wanted:
            raise self.error_for(int(wanted[0]))
        self.check_request(body, view)
        script = self.script(view)
        output = list(self.output(body, view, script))
        whole = self.response(body, view, script, output)
        if self.stores and body.get("store") is not False:
            self._kept()[whole["id"]] = [*items, *output]
        if not body.get("stream"):
            return self.reply(200, whole)
        return EmulatedResponse(200, self.headers("text/event-stream"), list(self.item_stream(whole)))

    def item_stream(self, whole: Mapping[str, Any]) -> Iterator[bytes]:
        """Give the event stream of an answer, as it is written."""
        events = list(self.events(whole))
        if self.stream_fails_with:
            del events[len(events) // 2 :]
            events.extend(self.failed_events(self.error_for(self.stream_fails_with), whole, len(events)))
        for event in events:
            yield sse(event, event["type"]) if self.names_events else sse(event)
        if self.ends_with_done:
            yield b"data: [DONE]\n\n"

    def _kept(self) -> dict[str, list[Any]]:
        kept: dict[str, list[Any]] = self.__dict__.setdefault("_kept_items", {})
        return kept

    # --- what is refused

    def check_parameters(self, body: Mapping[str, Any]) -> None:
        """Refuse fields of chat (RS-R3), unknown ones (RS-R4), and values out of range (RS-R5)."""
        for name, new in _MOVED.items():
            if name in body and not self.ignores_unknown:
                text = f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{new}'."
                raise self.refuse(400, f"{text} Try again with the new parameter.", code="unsupported_parameter")
        for name in body:
            is_known = name in self.known_parameters if self.known_parameters else name not in _ABSENT
            if not (is_known or self.ignores_unknown):
                raise self.refuse(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        limit = body.get("max_output_tokens")
        if isinstance(limit, int) and limit < self.least_output:
            text = "Invalid 'max_output_tokens': integer below minimum value. "
            text += f"Expected a value >= {self.least_output}, but got {limit} instead."
            raise self.refuse(400, text, param="max_output_tokens", code="integer_below_min_value")
        if not body.get("model"):
            raise self.refuse(400, "Missing required parameter: 'model'.", param="model")
        self.check_model_of_items(body)
        for number, tool in enumerate(body.get("tools") or ()):
            if not isinstance(tool, Mapping) or (tool.get("type") == "function" and not tool.get("name")):
                where = f"tools[{number}].name"
                raise self.refuse(400, f"Missing required parameter: '{where}'.", param=where)  # RS-F1
        wanted = (body.get("text") or {}).get("format") or {}
        if wanted.get("type") == "json_schema" and not wanted.get("name"):  # RS-T1
            where = "text.format.name"
            text = f"Missing required parameter: '{where}'."
            raise self.refuse(400, text, param=where, code="missing_required_parameter")

    def check_model_of_items(self, body: Mapping[str, Any]) -> None:
        """Refuse a model that does not exist, in the words of this path."""
        if self.models and body["model"] not in self.models:
            text = f"The requested model '{body['model']}' does not exist."  # RS-X2
            raise self.refuse(400, text, param="model", code="model_not_found")

    def unknown_item(self, item: Mapping[str, Any], where: str) -> Refusal:
        """Return the answer to an item of a kind that is not taken."""
        text = f"Invalid value: '{item.get('type')}'."
        return self.refuse(400, text, param=where, code="invalid_value")

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        """Refuse what this vendor's model does not take. `view` is the request as chat would have it."""

    def _with_earlier(self, body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the items of the request, behind those of the response that it goes on from (RS-S4)."""
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        if not isinstance(items, list) or not items or not all(isinstance(item, Mapping) for item in items):
            raise self.refuse(400, "Missing required parameter: 'input'.", param="input")
        earlier = body.get("previous_response_id")
        if earlier is None:
            return list(items)
        if earlier not in self._kept():
            text = f"Previous response with id '{earlier}' not found."
            raise self.refuse(400, text, param="previous_response_id", code="previous_response_not_found")
        return [*self._kept()[earlier], *items]

    def check_items(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Refuse items out of order: calls and results belong together, and a thought before what it led to."""
        self._check_pairs(items)
        for number, item in enumerate(items):
            kind, where = item.get("type", "message"), f"input[{number}]"
            follows = items[number + 1].get("type", "message") if number + 1 < len(items) else None
            if self.known_items and kind not in self.known_items:
                raise self.unknown_item(item, where)
            if kind == "reasoning":
                self.check_reasoning_item(item, where, follows)
            if kind == "message":
                self._check_parts(item, where)
            longest = self.longest_call_id
            if longest is not None and len(str(item.get("call_id", ""))) > longest:
                text = f"Invalid '{where}.call_id': string too long. Expected a string with maximum length {longest}, "
                text += f"but got a string with length {len(item['call_id'])} instead."
                raise self.refuse(400, text, param=f"{where}.call_id", code="string_above_max_length")

    def _check_pairs(self, items: Sequence[Mapping[str, Any]]) -> None:
        called: dict[str, int] = {}
        for item in items:
            if item.get("type") in _CALLS:
                called[str(item.get("call_id"))] = called.get(str(item.get("call_id")), 0) + 1
            if item.get("type") in _OUTPUTS:
                call_id = str(item.get("call_id"))
                if not called.get(call_id):  # RS-O4
                    text = f"No tool call found for function call output with call_id {call_id}."
                    raise self.refuse(400, text, param="input")
                called[call_id] -= 1
        due = next((call_id for call_id, left in called.items() if left > 0), None)
        if due is not None:  # RS-O3
            raise self.refuse(400, f"No tool output found for function call {due}.", param="input")

    def check_reasoning_item(self, item: Mapping[str, Any], where: str, follows: str | None) -> None:
        """Refuse a thought that is broken, not from here, or without the kind of item that it led to."""
        if "summary" not in item:  # RS-O7
            raise self.refuse(400, f"Missing required parameter: '{where}.summary'.", param=f"{where}.summary")
        if follows not in ("message", "reasoning", *_CALLS) and not str(follows).endswith("_call"):  # RS-O1
            text = f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
            raise self.refuse(400, text, param="input")
        state = item.get("encrypted_content")
        if state is not None and state != _sealed(self._thought_of(item)):  # RS-O9
            text = f"The encrypted content for item {item.get('id')} could not be verified. "
            text += "Reason: Encrypted content could not be decrypted or parsed."
            raise self.refuse(400, text, code="invalid_encrypted_content")
        if state is None and not item.get("content") and not self.stores:  # RS-O8
            text = f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false."
            raise self.refuse(400, f"{text} Try again with `store` set to true, or remove this item from your input.")

    @staticmethod
    def _thought_of(item: Mapping[str, Any]) -> str:
        return "".join(part.get("text", "") for part in item.get("summary") or ())

    def _check_parts(self, item: Mapping[str, Any], where: str) -> None:
        content = item.get("content")
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):  # RS-I1
            text = f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
            raise self.refuse(400, text, param=f"{where}.role", code="invalid_value")
        taken = _ANSWER_PARTS if role == "assistant" else _USER_PARTS
        for number, part in enumerate(content if isinstance(content, list) else ()):
            if part.get("type") not in taken:  # RS-I4
                names = " and ".join(f"'{name}'" for name in taken)
                text = f"Invalid value: '{part.get('type')}'. Supported values are: {names}."
                raise self.refuse(400, text, param=f"{where}.content[{number}]", code="invalid_value")

    # --- the request, as chat has it, for what is shared with chat: commands, scripts, rules of the models

    def as_chat(self, body: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the request as its vendor's chat endpoint would have it."""
        wanted = (body.get("text") or {}).get("format")
        view: dict[str, Any] = {
            "model": body["model"],
            "messages": list(_messages(items)),
            "tools": [_chat_tool(tool) for tool in body.get("tools") or ()],
            "tool_choice": _chat_choice(body.get("tool_choice")),
            "reasoning_effort": (body.get("reasoning") or {}).get("effort"),
            "max_completion_tokens": body.get("max_output_tokens"),
            "response_format": _chat_format(wanted),
        }
        for name in ("temperature", "top_p", "parallel_tool_calls"):
            view[name] = body.get(name)
        return {name: value for name, value in view.items() if value not in (None, [])}

    # --- the answer

    def response_id(self) -> str:
        """Return the id of the answer."""
        return f"resp_{self.serial:08d}"

    def item_id(self, prefix: str, number: int) -> str:
        """Return the id of an output item."""
        return f"{prefix}_{self.serial:08d}{number:04d}"

    def output(self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the output items of the answer: the thoughts, the text, the calls."""
        number = 0
        if script.reasoning:
            yield self.reasoning_item(body, script.reasoning)
        for place, url in enumerate(script.pictures):
            yield self.picture_item(place, url)
        if script.text or script.refusal or not script.calls:
            number += 1
            part = {"type": "output_text", "text": script.text, "annotations": _annotations(script), "logprobs": []}
            if script.refusal:
                part = {"type": "refusal", "refusal": script.refusal}
            status = "incomplete" if script.finish == "length" and not script.calls else "completed"
            yield {
                "id": self.item_id("msg", number), "type": "message", "status": status, "role": "assistant",
                "content": [part],
            }  # fmt: skip
        custom = {tool.get("name") for tool in body.get("tools") or () if tool.get("type") == "custom"}
        for place, (name, arguments) in enumerate(script.calls):
            call = {"call_id": self.call_id(place), "name": name}
            status = "incomplete" if script.finish == "length" else "completed"
            if name in custom:  # RS-I7
                text = {"input": _free_text(arguments)}
                yield {"id": self.item_id("ctc", place), "type": "custom_tool_call", **call, **text, "status": status}
                continue
            said = {"arguments": arguments, "status": status}
            yield {"id": self.item_id("fc", place), "type": "function_call", **call, **said}

    def picture_item(self, place: int, url: str) -> dict[str, Any]:
        """Return the step in which the server drew a picture, or let a program draw it that is at an address."""
        if url.startswith("data:image/"):
            head, _, data = url.partition(",")
            form = head.removeprefix("data:image/").partition(";")[0]
            return {
                "id": self.item_id("ig", place), "type": "image_generation_call", "status": "completed",
                "output_format": form, "result": data,
            }  # fmt: skip
        return {
            "id": self.item_id("ci", place), "type": "code_interpreter_call", "status": "completed", "code": "draw()",
            "container_id": "cntr_1", "outputs": [{"type": "image", "url": url}],
        }  # fmt: skip

    def reasoning_item(self, body: Mapping[str, Any], thoughts: str) -> dict[str, Any]:
        """Return the item of the thoughts, which go back sealed (RS-S1, RS-S2), or as they are (RS-E10)."""
        if self.reasoning_as_text:
            content = [{"type": "reasoning_text", "text": thoughts}]
            return {"id": self.item_id("rs", 0), "type": "reasoning", "summary": [], "content": content}
        shown = self.summary_of_reasoning and (body.get("reasoning") or {}).get("summary")
        summary = [{"type": "summary_text", "text": thoughts}] if shown else []
        sealed = _sealed(thoughts if shown else "")
        return {"id": self.item_id("rs", 0), "type": "reasoning", "summary": summary, "encrypted_content": sealed}

    def response(
        self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script, output: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return the whole response object (RS-P1)."""
        cut = script.finish == "length"
        return {
            "id": self.response_id(), "object": "response", "created_at": 1_790_000_000,
            "status": "incomplete" if cut else "completed", "completed_at": None if cut else 1_790_000_001,
            "error": None, "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": body.get("instructions"), "max_output_tokens": body.get("max_output_tokens"),
            "model": body["model"], "output": list(output), "parallel_tool_calls": True,
            "previous_response_id": body.get("previous_response_id"), "reasoning": body.get("reasoning"),
            "store": self.stores and body.get("store") is not False, "temperature": 1.0, "top_p": 1.0,
            "text": body.get("text") or {"format": {"type": "text"}}, "tool_choice": body.get("tool_choice", "auto"),
            "tools": body.get("tools") or [], "truncation": "disabled", "metadata": {}, "background": False,
            "service_tier": "default", "usage": self.usage_of_items(script),
        }  # fmt: skip

    def usage_of_items(self, script: Script) -> dict[str, Any]:
        """Return the usage object (RS-U1)."""
        return {
            "input_tokens": script.input_tokens,
            "input_tokens_details": {"cached_tokens": script.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": script.output_tokens,
            "output_tokens_details": {"reasoning_tokens": script.reasoning_tokens},
            "total_tokens": script.input_tokens + script.output_tokens,
        }

    def events(self, whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Give the events of a stream, numbered (RS-E1 to RS-E10)."""
        for number, event in enumerate(self._events(whole)):
            yield {"type": event["type"], "sequence_number": number, **event}

    def _events(self, whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        begun = {**whole, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
        begun |= {"incomplete_details": None}
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        for index, item in enumerate(whole["output"]):
            yield {"type": "response.output_item.added", "output_index": index, "item": _empty(item)}
            yield from self._item_events(index, item)
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": f"response.{whole['status']}", "response": whole}

    def _item_events(self, index: int, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        at: dict[str, Any] = {"item_id": item["id"], "output_index": index}
        if item["type"] == "function_call":
            text = item["arguments"]
            for start in range(0, len(text), _PIECE):
                yield {"type": "response.function_call_arguments.delta", **at, "delta": text[start : start + _PIECE]}
            yield {"type": "response.function_call_arguments.done", **at, "arguments": text}  # RS-F8: also where cut
        if item["type"] == "custom_tool_call":  # RS-E8
            text = item["input"]
            for start in range(0, len(text), _PIECE):
                yield {"type": "response.custom_tool_call_input.delta", **at, "delta": text[start : start + _PIECE]}
            yield {"type": "response.custom_tool_call_input.done", **at, "input": text}
        if item["type"] in _PROGRESS:
            for status in ("in_progress", _PROGRESS[item["type"]], "completed"):
                yield {"type": f"response.{item['type']}.{status}", **at}
        for number, part in enumerate(item.get("summary") or ()):
            place = {**at, "summary_index": number}
            yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
            for piece in self.cut(part["text"]):
                yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
            yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
            yield {"type": "response.reasoning_summary_part.done", **place, "part": part}
        for number, part in enumerate(item.get("content") or ()):
            yield from self._part_events({**at, "content_index": number}, part)

    def _part_events(self, place: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        name = "refusal" if part["type"] == "refusal" else "text"
        kind = {"refusal": "refusal", "output_text": "output_text"}.get(part["type"], "reasoning_text")
        notes = part.get("annotations") or ()
        begun = {**part, name: "", **({"annotations": []} if notes else {})}
        yield {"type": "response.content_part.added", **place, "part": begun}
        for piece in self.cut(part[name]):
            yield {"type": f"response.{kind}.delta", **place, "delta": piece}
        for number, note in enumerate(notes):
            told = {"annotation_index": number, "annotation": note}
            yield {"type": "response.output_text.annotation.added", **place, **told}
        yield {"type": f"response.{kind}.done", **place, name: part[name]}
        yield {"type": "response.content_part.done", **place, "part": part}

    def failed_events(self, refusal: Refusal, whole: Mapping[str, Any], number: int = 2) -> Iterator[dict[str, Any]]:
        """Give the two events of a failure inside a stream, numbered from `number` on (RS-X20)."""
        error = refusal.body.get("error") or refusal.body
        error = error if isinstance(error, Mapping) else {"message": error}
        yield {"type": "error", "sequence_number": number, "error": error}
        told = {"code": error.get("code"), "message": error["message"]}
        failed = {**whole, "status": "failed", "error": told, "output": [], "usage": None, "completed_at": None}
        yield {"type": "response.failed", "sequence_number": number + 1, "response": failed}


def _sealed(thoughts: str) -> str:
    """Return what stands for encrypted thoughts: it fits only the summary that it came with."""
    return "gAAAA" + hashlib.sha256(thoughts.encode()).hexdigest()


def _empty(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as it is when it begins."""
    bare = {"content": [], "summary": [], "arguments": "", "input": ""}
    begun = {name: bare.get(name, value) for name, value in item.items()}
    return begun if "status" not in item else {**begun, "status": "in_progress"}


def _free_text(arguments: str) -> str:
    """Return what a tool without a schema is called with: the text that was asked for, or the only one in an object."""
    try:
        value = json.loads(arguments)
    except ValueError:
        return arguments
    texts = list(value.values()) if isinstance(value, dict) else []
    return texts[0] if len(texts) == 1 and isinstance(texts[0], str) else arguments


def _annotations(script: Script) -> list[dict[str, Any]]:
    end = len(script.text)
    return [
        {"type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": end}
        for url, title in script.citations
    ]


def _messages(items: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Give the conversation in chat's shape, in which the items of one turn of the model are one message."""
    turn: dict[str, Any] = {}
    for item in items:
        kind = item.get("type", "message")
        if kind == "reasoning":
            turn["reasoning_content"] = turn.get("reasoning_content", "") + _text(item.get("content"))
        elif kind == "message" and item["role"] == "assistant":
            turn["content"] = (turn.get("content") or "") + _text(item.get("content"))
        elif kind in _CALLS:
            function = {"name": item.get("name"), "arguments": item.get("arguments", item.get("input"))}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            turn.setdefault("tool_calls", []).append(call)
        else:
            yield from _turn(turn)
            turn = {}
            if kind == "message":
                yield {"role": item["role"], "content": _text(item.get("content"))}
            elif kind in _OUTPUTS:
                yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": _text(item.get("output"))}
    yield from _turn(turn)


def _turn(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if "content" in turn or "tool_calls" in turn:
        yield {"role": "assistant", "content": None, **turn}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part.get("text") or part.get("refusal") or "") for part in parts)


def _chat_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return dict(tool)
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _chat_choice(choice: Any) -> Any:
    if isinstance(choice, Mapping) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return choice


def _chat_format(wanted: Any) -> Any:
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return None if not isinstance(wanted, Mapping) or wanted.get("type") == "text" else dict(wanted)
    return {"type": "json_schema", "json_schema": {name: value for name, value in wanted.items() if name != "type"}}
