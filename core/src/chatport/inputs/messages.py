"""What users write, as our values: strings, Message values, Replies and OpenAI-shaped dicts, mixed freely.

Every shape that cannot be read is refused here, before anything is sent, with the place named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from .. import jsoncodec
from ..basics.frozen import freeze
from ..basics.words import near_miss
from ..errors import BadRequestError
from ..types import AudioPart, FilePart, ImagePart, Message, Part, Reply, TextPart, ToolCall

__all__ = ["MessagesInput", "read_messages"]

MessagesInput: TypeAlias = (
    "str | Message | Reply | Mapping[str, Any] | Sequence[str | Message | Reply | Mapping[str, Any]]"
)

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
    items = messages if type(messages) is list else _listed(messages)
    if not items:
        raise BadRequestError("messages is empty: a call needs at least one message.")
    read = tuple([_message(item, f"messages[{number}]") for number, item in enumerate(items)])
    _check_results(read)
    return read


def _listed(messages: MessagesInput) -> Sequence[Any]:
    if isinstance(messages, str | Message | Reply | Mapping):
        return (messages,)
    if not isinstance(messages, Sequence):
        raise BadRequestError(f"messages must be a text or a list, not {type(messages).__name__}.")
    return messages


def _message(item: Any, where: str) -> Message:
    if type(item) is dict:
        return _checked(_from_dict(item, where), where)
    match item:
        case Message():
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
    if message.role not in _ROLES:
        hint = near_miss(message.role, _ROLES)
        raise BadRequestError(f"{where}.role must be one of {', '.join(_ROLES)}, not {message.role!r}.{hint}")
    has_dicts = bool(message.extra or message.opaque)
    for number, part in enumerate(message.content):
        if type(part) is TextPart and not part.extra:
            continue
        if not isinstance(part, TextPart | ImagePart | AudioPart | FilePart):
            raise BadRequestError(f"{where}.content[{number}] is not a content part but {type(part).__name__}.")
        has_dicts = has_dicts or bool(part.extra)
        if isinstance(part, ImagePart) and not part.url.startswith(
            ("https://", "http://", "data:image/", "oss://", "ms://")
        ):
            raise BadRequestError(f"{where}.content[{number}] needs an http(s) or data:image/ URL.")
    if message.role == "tool" and not message.tool_call_id:
        raise BadRequestError(f"{where} is a tool result and needs tool_call_id.")
    if message.role == "user" and not message.content:
        raise BadRequestError(f"{where} is a user turn without content.")
    if message.tool_calls:
        if not all(isinstance(call, ToolCall) for call in message.tool_calls):
            raise BadRequestError(f"{where}.tool_calls of a Message are ToolCall values.")
        if message.role != "assistant":
            raise BadRequestError(f"{where} has tool_calls, which only an assistant turn has.")
    return _frozen(message) if has_dicts else message


def _check_results(messages: tuple[Message, ...]) -> None:
    """Refuse a tool result without its call: every vendor does, and each words it differently."""
    called: set[str] = set()
    for number, message in enumerate(messages):
        if message.tool_calls:
            called.update(call.id for call in message.tool_calls)
        if message.role == "tool" and message.tool_call_id not in called:
            raise BadRequestError(
                f"messages[{number}] answers the tool call {message.tool_call_id!r}, "
                "which no earlier assistant turn makes."
            )


def _from_dict(item: Mapping[str, Any], where: str) -> Message:
    role, content = item.get("role"), item.get("content")
    if item.keys() == _PLAIN_KEYS and type(content) is str and role in _ROLES:  # what nearly every message is
        return Message(role, (TextPart(content),) if content else ())
    if not isinstance(role, str):
        raise BadRequestError(f"{where} has no role. Write {{'role': 'user', 'content': …}}.")
    if role == "function":
        raise BadRequestError(f"{where} has the role 'function', which is retired: use 'tool' with a tool_call_id.")
    if item.get("function_call"):
        raise BadRequestError(f"{where}.function_call is retired: write it as one of tool_calls, with an id.")
    extra = {key: value for key, value in item.items() if key not in _MESSAGE_KEYS and value is not None}
    if isinstance(item.get("audio"), Mapping):
        extra["audio"] = item["audio"]
    calls = item.get("tool_calls") or ()
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise BadRequestError(f"{where}.tool_calls must be a list.")
    reasoning = item.get("reasoning_content") or item.get("reasoning")
    return Message(
        role,  # type: ignore[arg-type]  # _checked compares it with the known roles
        _content(content, where),
        tuple(_tool_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)),
        tool_call_id=_optional_text(item, "tool_call_id", where),
        name=_optional_text(item, "name", where),
        refusal=_optional_text(item, "refusal", where),
        reasoning=reasoning if isinstance(reasoning, str) else None,
        extra=extra,
    )


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
    if isinstance(part, TextPart | ImagePart | AudioPart | FilePart):
        return part
    if isinstance(part, str):
        return TextPart(part)
    if not isinstance(part, Mapping):
        raise BadRequestError(f"{where} must be a part, not {type(part).__name__}.")
    kind = part.get("type")
    readers = {
        "text": _text_part,
        "image_url": _image_part,
        "input_audio": _audio_part,
        "file": _file_part,
        "refusal": _refusal_part,
    }
    reader = readers.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BadRequestError(f"{where}.type must be one of {', '.join(readers)}, not {kind!r}.")
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
    if not isinstance(image, Mapping):
        raise BadRequestError(f"{where}.image_url must be {{'url': …}}.")
    detail = image.get("detail")
    return ImagePart(
        _text(image.get("url"), f"{where}.image_url.url"), detail if isinstance(detail, str) else None, extra
    )


def _audio_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    audio = part.get("input_audio")
    if not isinstance(audio, Mapping):
        raise BadRequestError(f"{where}.input_audio must be {{'data': …, 'format': …}}.")
    where = f"{where}.input_audio"
    return AudioPart(_text(audio.get("data"), f"{where}.data"), _text(audio.get("format"), f"{where}.format"), extra)


def _file_part(part: Mapping[str, Any], extra: dict[str, Any], where: str) -> Part:
    file = part.get("file")
    if not isinstance(file, Mapping) or not (file.get("file_id") or file.get("file_data")):
        raise BadRequestError(f"{where}.file needs file_id, or file_data with filename.")
    where = f"{where}.file"
    file_id, data, filename = (_optional_text(file, key, where) for key in ("file_id", "file_data", "filename"))
    return FilePart(file_id, data, filename, extra)


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    raise BadRequestError(f"{where} must be a text, not {type(value).__name__}.")


def _tool_call(call: Any, where: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
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
        _text(call.get("id"), f"{where}.id"), _text(function.get("name"), f"{where}.function.name"), arguments
    )
