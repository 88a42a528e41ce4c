"""How many tokens a call will take, guessed before it is sent: for pacing and budgets, never for a bill.

Without a vendor's tokenizer this is arithmetic on characters, and meant to come out a little high: too high costs a
short wait, too low a refusal. Real usage replaces it afterwards. What a vendor adds is not foreseen: the same six words
are 8 tokens with one and 904 with another, whose template, hidden prompt or web search counts as input too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from .. import jsoncodec
from ..call import Call, OutputSpec, Tool
from ..facts.models import ModelFacts
from ..types import AudioPart, FilePart, ImagePart, Message, Part, TextPart, VendorPart, VideoPart

__all__ = ["DEFAULT_OUTPUT_TOKENS", "estimate_input_tokens", "estimate_output_tokens", "estimate_text_tokens"]

DEFAULT_OUTPUT_TOKENS = 1024
"""What an answer is taken to need where the caller sets no `max_tokens`: more than most answers, less than the most."""

_TOKENS_PER_CALL = 8
_TOKENS_PER_MESSAGE = 5
_TOKENS_PER_TOOL_CALL = 12
_TOKENS_FOR_TOOLS = 150  # the vendor's own words on how to call them: from none to 500
_TOKENS_PER_TOOL = 12

# Flat numbers. A picture costs 65 to 3,000 tokens by vendor and size; Chatport does not look into it.
_IMAGE_TOKENS = {"low": 300, "high": 1600}
_OTHER_IMAGE_TOKENS = 1000
_UPLOADED_FILE_TOKENS = 4000
_AUDIO_BYTES_PER_TOKEN = 400
_FILE_BYTES_PER_TOKEN = 4
_VIDEO_BYTES_PER_TOKEN = 500
_LINKED_VIDEO_TOKENS = 8000

_LATIN_CHARACTERS_PER_TOKEN = 4.4
_SIGNS_PER_TOKEN = 1.4  # all of ASCII that is neither a letter nor a space: code, JSON, numbers
_LETTERS_PER_TOKEN = 2
_TOKENS_PER_SYMBOL = 2

_SHORTEST_NOISE = 32
_NOISE = re.compile(r"[A-Za-z0-9+/=_-]{32,}")
_PLAIN = re.compile(r"[A-Za-z ]+")
_DENSE = re.compile(r"[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]+")
_ALPHABETS = re.compile(r"[\u00a0-\u10ff\u1200-\u1fff\u2010-\u203a\ufb1d-\ufdff\ufe70-\ufefe]+")
_SYMBOLS = re.compile(r"[^\x00-\x7f]+")


def estimate_input_tokens(call: Call) -> int:
    """Return about how many tokens the call's input has: texts, tools, output schema, images, audio and files."""
    tokens = _TOKENS_PER_CALL + sum(_message_tokens(message) for message in call.messages)
    if call.tools:
        tokens += _TOKENS_FOR_TOOLS + sum(_tool_tokens(tool) for tool in call.tools)
    tokens += sum(_TOKENS_PER_TOOL + estimate_text_tokens(_own_text(tool)) for tool in call.server_tools)
    if call.output is not None:
        tokens += _output_tokens(call.output)
    return math.ceil(tokens)


def estimate_output_tokens(call: Call, facts: ModelFacts) -> int:
    """Return `max_tokens` if the caller set it, else a default, in any case no more than the model can write."""
    limit = call.max_tokens  # below 0 it is the vendor's word for no limit
    wanted = DEFAULT_OUTPUT_TOKENS if limit is None or limit < 0 else limit
    return wanted if facts.max_output_tokens is None else min(wanted, facts.max_output_tokens)


def estimate_text_tokens(text: str) -> float:
    """Return about how many tokens a text has, by script.

    Latin letters and spaces: 4.4 characters per token (English prose has 4.3 to 5.7). Other signs of ASCII, which is
    code, JSON and numbers, and runs of 32 and more without a space, such as base64: 1.4. Other alphabets, and letters
    with accents: 2. Chinese, Japanese, Korean: 1. Anything else, such as emoji: two tokens each.
    """
    rest, noise = _without(_NOISE, text) if len(text) >= _SHORTEST_NOISE else (text, 0)
    rest, plain = _without(_PLAIN, rest)
    tokens = plain / _LATIN_CHARACTERS_PER_TOKEN
    if not rest.isascii():
        rest, dense = _without(_DENSE, rest)
        rest, letters = _without(_ALPHABETS, rest)
        rest, symbols = _without(_SYMBOLS, rest)
        tokens += dense + letters / _LETTERS_PER_TOKEN + symbols * _TOKENS_PER_SYMBOL
    return tokens + (noise + len(rest)) / _SIGNS_PER_TOKEN


def _without(pattern: re.Pattern[str], text: str) -> tuple[str, int]:
    rest = pattern.sub("", text)
    return rest, len(text) - len(rest)


def _message_tokens(message: Message) -> float:
    tokens = _TOKENS_PER_MESSAGE + sum(_part_tokens(part) for part in message.content)
    for text in (message.name, message.refusal, message.reasoning):
        tokens += estimate_text_tokens(text) if text else 0
    for call in message.tool_calls:
        tokens += _TOKENS_PER_TOOL_CALL + estimate_text_tokens(call.name) + estimate_text_tokens(call.arguments)
    return tokens


def _part_tokens(part: Part) -> float:
    match part:
        case TextPart():
            return estimate_text_tokens(part.text)
        case ImagePart():
            return _IMAGE_TOKENS.get(part.detail or "", _OTHER_IMAGE_TOKENS)
        case AudioPart():
            return _base64_bytes(part.data) / _AUDIO_BYTES_PER_TOKEN
        case VideoPart():
            is_inline = part.url.startswith("data:")
            return _base64_bytes(part.url) / _VIDEO_BYTES_PER_TOKEN if is_inline else _LINKED_VIDEO_TOKENS
        case FilePart():
            return _UPLOADED_FILE_TOKENS if part.data is None else _base64_bytes(part.data) / _FILE_BYTES_PER_TOKEN
        case VendorPart():
            return _vendor_tokens(part)


def _vendor_tokens(part: VendorPart) -> float:
    """Count text as text; what holds an address or bytes as a file, of which it does not say how long it is."""
    text = _own_text(part.value)
    if "://" not in text and _NOISE.search(text) is None:
        return estimate_text_tokens(text)
    return max(_UPLOADED_FILE_TOKENS, _base64_bytes(text) / _FILE_BYTES_PER_TOKEN)


def _base64_bytes(data: str) -> float:
    return (len(data) - data.find(",") - 1) * 3 / 4


def _own_text(value: Mapping[str, Any]) -> str:
    """Return what is sent as given as text; nothing for what cannot be sent, which shaping will say."""
    try:
        return jsoncodec.encode_anything(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ""


def _tool_tokens(tool: Tool) -> float:
    return _TOKENS_PER_TOOL + estimate_text_tokens(tool.name + tool.description) + _json_tokens(tool.schema)


def _output_tokens(output: OutputSpec) -> float:
    return _json_tokens(output.schema)


def _json_tokens(value: Mapping[str, Any]) -> float:
    return estimate_text_tokens(jsoncodec.encode(value).decode())
