"""JSON through one module: bytes in and out, strict first and tolerant where real vendors need it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

__all__ = ["decode", "decode_text", "encode", "encode_anything", "encode_text", "pretty"]

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode(data: bytes) -> Any:
    """Return the Python values of a JSON text. Raises ValueError if it is not JSON, or nested too deeply.

    msgspec is strict where some servers are not: it refuses half of a surrogate pair (an emoji split over two
    chunks as escapes) and broken UTF-8. Those two fall back to the standard library, which keeps the halves.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _decode_tolerantly(data, error)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _decode_tolerantly(data: bytes, first: Exception) -> Any:
    text = data.decode("utf-8", "replace")
    if "\\u" not in text and "\ufffd" not in text:
        raise ValueError(str(first)) from None
    try:
        return _mended(json.loads(text, parse_constant=_refuse_constant))
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _mended(value: Any) -> Any:
    """Replace halves of surrogate pairs, but at the ends of a text, where the other half may be in another chunk."""
    if isinstance(value, str):
        start = int("\udc00" <= value[:1] <= "\udfff")
        end = len(value) - int(len(value) > start and "\ud800" <= value[-1:] <= "\udbff")
        middle = value[start:end].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value[:start] + middle + value[end:]
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def decode_text(text: str) -> Any:
    """Like `decode`, for text."""
    return decode(text.encode("utf-8", "surrogatepass"))


def encode(value: Any) -> bytes:
    """Return compact JSON. Raises TypeError for values JSON does not have."""
    return _encoder.encode(value)


def encode_anything(value: Any) -> bytes:
    """Like `encode`, for what `decode` gave: half a surrogate pair, which UTF-8 does not have, becomes an escape."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def encode_text(value: Any) -> str:
    """Like `encode`, as text."""
    return _encoder.encode(value).decode()


def pretty(value: Any) -> str:
    """Return JSON for people, indented."""
    return msgspec.json.format(encode(value), indent=2).decode()
