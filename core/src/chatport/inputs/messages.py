"""What users write, as our values: strings, Message values, Replies and OpenAI-shaped dicts, mixed freely.

A shape that means nothing is refused here, before anything is sent, with the place named. One that is only not ours, a
part or a role of some vendor's, is carried as it is: whether it is taken say the vendor's facts, or the vendor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeAlias

import attrs

from .. import jsoncodec
from ..basics import media
from ..basics.frozen import freeze
from ..basics.words import near_miss
from ..errors import BadRequestError
from ..standard.unread import READ_OF_CALL, READ_OF_FUNCTION, WRITTEN_AS
from ..types import AudioPart, FilePart, ImagePart, Message, Part, Reply, TextPart, ToolCall, VendorPart, VideoPart

__all__ = ["MessagesInput", "read_messages"]

MessagesInput: TypeAlias = (
    str | Message | Reply | Mapping[str, Any] | Sequence[str | Message | Reply | Mapping[str, Any]]
)
"""What `chat` takes as messages: one, or a list of them in any mixture."""

_ROLES = ("system", "developer", "user", "assistant", "tool")
_PLAIN_KEYS = frozenset(("role", "content"))
_MESSAGE_KEYS = frozenset(
    {
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "refusal",
        "reasoning_content",
        "reasoning",
        "function_call",
        "audio",
    }
)


def read_messages(messages: MessagesInput) -> tuple[Message, ...]:
    """Return the conversation as messages. Raises BadRequestError that names the place of a wrong shape."""
    items: Sequence[Any]
    items = (messages,) if type(messages) is str else messages if type(messages) is list else _listed(messages)
    if not items:
        raise BadRequestError("messages is empty: a call needs at least one message.")
    return tuple([_message(item, f"messages[{number}]") for number, item in enumerate(items)])


def _listed(messages: MessagesInput) -> Sequence[Any]:
    if isinstance(messages, str | Message | Reply | Mapping):
        return (messages,)
    if not isinstance(messages, Sequence):
        raise BadRequestError(f"messages must be a text or a list, not {type(messages).__name__}.")
    return messages


def _message(item: Any, where: str) -> Message:
    if type(item) is str:
        return Message("user", (TextPart(item),) if item else ())
    if type(item) is dict:
        return _checked(_from_dict(item, where), where)
    match item:
        case Message():
            if item.role not in _ROLES:
                hint = near_miss(item.role, _ROLES)
                raise BadRequestError(f"{where}.role must be one of {', '.join(_ROLES)}, not {item.role!r}.{hint}")
            return _checked(item, where)
        case Reply():
            return _checked(item.message, where)
        case str():
            return _checked(Message.user(item), where)
        case Mapping():
            return _checked(_from_dict(item, where), where)
        case _:
            raise BadRequestError(f"{where} must be a text, a Message, a Reply or a dict, not {type(item).__name__}.")


def _frozen(message: Message) -> Message:
    """Return a message whose dicts no hook can write to: they are the caller's, or a reply's that others hold."""
    content = tuple([attrs.evolve(part, extra=_held(part.extra)) if part.extra else part for part in message.content])
    return attrs.evolve(message, content=content, extra=_held(message.extra), opaque=_held(message.opaque))


def _held(value: Any) -> Any:
    return freeze(value, BadRequestError)


def _checked(message: Message, where: str) -> Message:
    has_dicts = bool(message.extra or message.opaque)
    for number, part in enumerate(message.content):
        if type(part) is TextPart and not part.extra and type(part.text) is str:
            continue
        from .parts import fit_part, is_part, no_part  # most messages are texts

        if not is_part(part):
            raise no_part(part, f"{where}.content[{number}] is not a content part but")
        has_dicts = has_dicts or bool(part.extra)
        fitted = fit_part(part, f"{where}.content[{number}]")
        if fitted is not part:
            content = (*message.content[:number], fitted, *message.content[number + 1 :])
            message = attrs.evolve(message, content=content)
    if message.tool_calls:
        if not all(isinstance(call, ToolCall) for call in message.tool_calls):
            raise BadRequestError(f"{where}.tool_calls of a Message are ToolCall values.")
        if message.role != "assistant":
            raise BadRequestError(f"{where} has tool_calls, which only an assistant turn has.")
    return _frozen(message) if has_dicts else message


def _from_dict(item: Mapping[str, Any], where: str) -> Message:
    role, content = item.get("role"), item.get("content")
    if item.keys() == _PLAIN_KEYS and type(content) is str and role in _ROLES:  # what nearly every message is
        return Message(role, (TextPart(content),) if content else ())
    if not isinstance(role, str):
        raise BadRequestError(f"{where} has no role. Write {{'role': 'user', 'content': …}}.")
    if role not in _ROLES:
        return _of_own_role(item, role, where)
    extra = {key: value for key, value in item.items() if key not in _MESSAGE_KEYS and value is not None}
    if item.get("function_call"):
        extra["function_call"] = item["function_call"]  # the older form of tool_calls, where it is still known
    if isinstance(item.get("audio"), Mapping):
        extra["audio"] = item["audio"]
    calls = item.get("tool_calls") or ()
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise BadRequestError(f"{where}.tool_calls must be a list.")
    if any(map(_is_vendor_call, calls)):
        calls, extra["tool_calls"] = (), calls  # they belong together, and are sent as they are
    reasoning = item.get("reasoning_content") or item.get("reasoning")
    is_renamed = isinstance(reasoning, str) and not item.get("reasoning_content")
    for key in ("reasoning_content", "reasoning"):
        if item.get(key) is not None and not isinstance(item[key], str):
            extra[key] = item[key]
    return Message(
        role,  # type: ignore[arg-type]  # _checked compares it with the known roles
        _content(content, where),
        tuple(_tool_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)),
        tool_call_id=_optional_text(item, "tool_call_id", where),
        name=_optional_text(item, "name", where),
        refusal=_optional_text(item, "refusal", where),
        reasoning=reasoning if isinstance(reasoning, str) and reasoning else None,
        opaque={WRITTEN_AS: "reasoning"} if is_renamed and reasoning else {},
        extra=extra,
    )


def _of_own_role(item: Mapping[str, Any], role: str, where: str) -> Message:
    """Return a message in a role that is some vendor's own, with all that it has beside its content as given."""
    if not role:
        raise BadRequestError(f"{where} has no role. Write {{'role': 'user', 'content': …}}.")
    extra = {key: value for key, value in item.items() if key not in ("role", "content", "name") and value is not None}
    name = _optional_text(item, "name", where)
    return Message(role, _content(item.get("content"), where), name=name, extra=extra)  # type: ignore[arg-type]  # as it is


def _optional_text(item: Mapping[str, Any], key: str, where: str) -> str | None:
    value = item.get(key)
    if value is None or isinstance(value, str):
        return value
    raise BadRequestError(f"{where}.{key} must be a text, not {type(value).__name__}.")


def _content(content: Any, where: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),) if content else ()
    if isinstance(content, Sequence):
        return tuple(_part(part, f"{where}.content[{number}]") for number, part in enumerate(content))
    raise BadRequestError(f"{where}.content must be a text or a list of parts, not {type(content).__name__}.")


def _part(part: Any, where: str) -> Part:
    from .parts import is_part, no_part  # most messages are texts

    if is_part(part):
        return part
    if isinstance(part, str):
        return TextPart(part)
    if not isinstance(part, Mapping):
        raise no_part(part, f"{where} must be a part, not")
    kind = part.get("type")
    if not part or not isinstance(kind, str | None):
        raise BadRequestError(f"{where}.type must be a text, such as 'text' or 'image_url', not {kind!r}.")
    reader = _READERS.get(kind or "")
    if reader is None:
        return VendorPart(part)
    extra = {key: value for key, value in part.items() if key not in ("type", kind)}
    return reader(part, extra, where)


def _text_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    return TextPart(_text(part.get("text"), f"{where}.text"), extra)


def _refusal_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    return TextPart(_text(part.get("refusal"), f"{where}.refusal"), extra)


def _image_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    image = part.get("image_url")
    if isinstance(image, str):
        return ImagePart(image, extra=extra)
    if isinstance(image, Mapping) and image.get("url") is not None and isinstance(image.get("detail"), str | None):
        extra = _with_inner(extra, image, "image_url", ("url", "detail"))
        url = _content_text(image["url"], f"{where}.image_url.url", "ImagePart")
        return ImagePart(url, image.get("detail"), extra)
    return _own_form(part, "image_url", "{'url': …}", where)


def _video_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    video = part.get("video_url")
    if isinstance(video, str):
        return VideoPart(video, extra)
    if isinstance(video, Mapping) and video.get("url") is not None:
        extra = _with_inner(extra, video, "video_url", ("url",))
        return VideoPart(_content_text(video["url"], f"{where}.video_url.url", "VideoPart"), extra)
    return _own_form(part, "video_url", "{'url': …}", where)


def _audio_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    audio = part.get("input_audio")
    if isinstance(audio, Mapping) and audio.get("data") is not None:
        where = f"{where}.input_audio"
        data = _content_text(audio["data"], f"{where}.data", "AudioPart")
        kind = audio.get("format")
        if kind is not None and not isinstance(kind, str):
            raise BadRequestError(f"{where}.format must be a text, not {type(kind).__name__}.")
        extra = _with_inner(extra, audio, "input_audio", ("data", "format"))
        sound = AudioPart(data, kind or "", extra)
        if sound.format or media.is_address(data):
            return sound
    return _own_form(part, "input_audio", "{'data': …, 'format': …}", where)


def _file_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    file = part.get("file")
    if isinstance(file, Mapping) and (file.get("file_id") or file.get("file_data")):
        where = f"{where}.file"
        extra = _with_inner(extra, file, "file", ("file_id", "file_data", "filename"))
        data = file.get("file_data")
        if data is not None:
            data = _content_text(data, f"{where}.file_data", "FilePart")
        return FilePart(_optional_text(file, "file_id", where), data, _optional_text(file, "filename", where), extra)
    return _own_form(part, "file", "{'file_id': …}, or file_data with filename", where)


_READERS = {
    "text": _text_part,
    "image_url": _image_part,
    "input_audio": _audio_part,
    "video_url": _video_part,
    "file": _file_part,
    "refusal": _refusal_part,
}


def _own_form(part: Mapping[str, Any], kind: str, usual: str, where: str) -> Part:
    """Return a part of a known kind whose form is some vendor's own. Raises BadRequestError for one without content."""
    if not part.get(kind) and part.keys() <= {"type", kind}:
        raise BadRequestError(f"{where}.{kind} must be {usual}.")
    return VendorPart(part)


def _with_inner(extra: dict[str, Any], inner: Mapping[str, Any], kind: str, known: tuple[str, ...]) -> dict[str, Any]:
    """Keep the keys of a part's inner object that nobody here reads, under the name of that object."""
    unread = {key: value for key, value in inner.items() if key not in known}
    return {**extra, kind: unread} if unread else extra


def _content_text(value: Any, where: str, kind: str) -> str:
    """Return the text in which content comes. Raises BadRequestError that says how else it is made a part."""
    if isinstance(value, str):
        return value
    way = "from_bytes" if isinstance(value, bytes | bytearray | memoryview) else "from_file"
    hint = f": {kind}.{way} makes a part of it" if isinstance(value, PurePath) or way == "from_bytes" else ""
    raise BadRequestError(f"{where} must be a text, not {type(value).__name__}{hint}.")


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    raise BadRequestError(f"{where} must be a text, not {type(value).__name__}.")


def _is_vendor_call(call: Any) -> bool:
    """Whether this is the call of a tool that is no function, in its vendor's shape."""
    return isinstance(call, Mapping) and call.get("type") not in (None, "function") and "function" not in call


def _tool_call(call: Any, where: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise BadRequestError(f"{where} must be {{'id': …, 'function': {{'name': …, 'arguments': …}}}}.")
    arguments = function.get("arguments")
    if arguments is None:
        arguments = "{}"
    elif not isinstance(arguments, str):
        try:
            arguments = jsoncodec.encode_text(freeze(arguments))  # which counts the levels: not every Python does
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            problem = str(error).rstrip(".")
            raise BadRequestError(f"{where}.function.arguments cannot be written as JSON: {problem}.") from error
    return ToolCall(
        _optional_text(call, "id", where) or "",
        _text(function.get("name"), f"{where}.function.name"),
        arguments,
        extra=_unread_of_call(call, function),
    )


def _unread_of_call(call: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a call that nobody here reads, each where it stood: on the call, or in its function."""
    extra = {key: value for key, value in call.items() if key not in READ_OF_CALL and value is not None}
    inner = {key: value for key, value in function.items() if key not in READ_OF_FUNCTION and value is not None}
    return {**extra, "function": inner} if inner else extra
