"""What users write as messages: every right shape is read, every wrong one refused with its place."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chatport.errors import BadRequestError, MalformedReplyError
from chatport.inputs.messages import read_messages
from chatport.types import AudioPart, FilePart, ImagePart, Message, Reply, TextPart, ToolCall, Usage

CALL = ToolCall("c1", "f", "{}")
WIRE_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "tool_calls": [WIRE_CALL]}
IMAGE = "https://h.example/x.png"


def one(message: Any) -> Message:
    (read,) = read_messages([message])
    return read


@pytest.mark.parametrize(
    "messages",
    [
        "hi",
        ["hi"],
        Message.user("hi"),
        (Message.user("hi"),),
        {"role": "user", "content": "hi"},
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        [{"role": "user", "content": ["hi"]}],
        [{"role": "user", "content": [TextPart("hi")]}],
    ],
    ids=str,
)
def test_every_way_to_say_hi(messages: Any) -> None:
    """A text, a message, a dict, and lists of them mean the same."""
    assert read_messages(messages) == (Message.user("hi"),)


class Name(str):
    __slots__ = ()


def test_texts_and_dicts_of_other_classes_are_read_too() -> None:
    assert read_messages([Name("hi"), MappingProxyType({"role": "assistant", "content": "yes"})]) == (
        Message.user("hi"),
        Message.assistant("yes"),
    )
    with pytest.raises(BadRequestError, match=r"messages\[0\] has no role"):
        read_messages([MappingProxyType({"content": "yes"})])


def test_kinds_are_mixed_freely() -> None:
    """Texts, messages, dicts and replies stand in one list; a Reply is its message, with what its vendor wants back."""
    reply = Reply(text="a", reasoning="r", provider="p", tool_calls=(CALL,), opaque={"s": 1})
    read = read_messages(["q", reply, {"role": "tool", "tool_call_id": "c1", "content": "x"}, Message.user("y")])
    assert [message.role for message in read] == ["user", "assistant", "tool", "user"]
    assert read[1] == reply.message
    assert (read[1].origin, read[1].reasoning, read[1].opaque) == ("p", "r", {"s": 1})
    assert read_messages(reply) == (reply.message,)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "system", "content": "s"}, Message.system("s")),
        ({"role": "developer", "content": "s"}, Message.developer("s")),
        ({"role": "assistant", "content": "a"}, Message.assistant("a")),
        ({"role": "assistant", "content": None}, Message.assistant()),
        ({"role": "assistant"}, Message.assistant()),
        ({"role": "assistant", "content": ""}, Message.assistant()),
        (ASKED, Message.assistant(tool_calls=(CALL,))),
        ({"role": "assistant", "tool_calls": [CALL]}, Message.assistant(tool_calls=(CALL,))),
        ({"role": "assistant", "tool_calls": None, "content": "a"}, Message.assistant("a")),
        ({"role": "assistant", "refusal": "no"}, Message("assistant", refusal="no")),
        ({"role": "assistant", "reasoning_content": "r"}, Message("assistant", reasoning="r")),
        (
            {"role": "assistant", "reasoning": "r"},
            Message("assistant", reasoning="r", opaque={"reasoning_field": "reasoning"}),
        ),
        ({"role": "assistant", "function_call": None, "audio": None}, Message.assistant()),
        ({"role": "assistant", "audio": {"id": "x"}}, Message("assistant", extra={"audio": {"id": "x"}})),
        ({"role": "user", "content": "u", "name": "ann"}, Message("user", (TextPart("u"),), name="ann")),
        ({"role": "user", "content": "u", "w": 1, "v": None}, Message("user", (TextPart("u"),), extra={"w": 1})),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            Message("assistant", (TextPart("no"),)),
        ),
    ],
    ids=str,
)
def test_dicts(message: Any, expected: Message) -> None:
    """Every field of an OpenAI-shaped message has its place; unknown ones are kept, nulls are nothing."""
    assert one(message) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, TextPart("a")),
        ({"type": "text", "text": ""}, TextPart("")),
        ({"type": "text", "text": "a", "cache_control": {"x": 1}}, TextPart("a", {"cache_control": {"x": 1}})),
        ({"type": "image_url", "image_url": {"url": IMAGE}}, ImagePart(IMAGE)),
        ({"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}}, ImagePart(IMAGE, "low")),
        ({"type": "image_url", "image_url": IMAGE}, ImagePart(IMAGE)),
        ({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, AudioPart("x", "wav")),
        ({"type": "file", "file": {"file_id": "f"}}, FilePart("f")),
        ({"type": "file", "file": {"file_data": "d", "filename": "n"}}, FilePart(None, "d", "n")),
        (ImagePart("data:image/png;base64,eA=="), ImagePart("data:image/png;base64,eA==")),
    ],
    ids=str,
)
def test_parts(part: Any, expected: Any) -> None:
    """Every kind of content part is read, with keys of the vendor's own."""
    assert one({"role": "user", "content": [part]}).content == (expected,)


@pytest.mark.parametrize(
    ("arguments", "text"), [("{}", "{}"), (None, "{}"), ({"x": [1]}, '{"x":[1]}'), ([], "[]"), ("not json", "not json")]
)
def test_arguments_of_a_call(arguments: Any, text: str) -> None:
    """Arguments are kept as text; decoded ones are written as JSON again."""
    call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
    assert one({"role": "assistant", "tool_calls": [call]}).tool_calls == (ToolCall("c", "f", text),)


WRONG: list[tuple[Any, str]] = [
    (None, "messages must be a text or a list, not NoneType"),
    (5, "messages must be a text or a list, not int"),
    ({"a", "b"}, "messages must be a text or a list, not set"),
    ([], "messages is empty"),
    ([5], "messages[0] must be a text, a Message, a Reply or a dict, not int"),
    (["a", None], "messages[1] must be a text"),
    (b"bytes", "messages[0] must be a text"),
    ({}, "messages[0] has no role"),
    ([{"role": None}], "messages[0] has no role"),
    ([{"role": 5}], "messages[0] has no role"),
    ([{"role": "", "content": "x"}], "messages[0] has no role"),
    ([{"role": "user", "content": 5}], "messages[0].content must be a text or a list of parts, not int"),
    (
        [{"role": "user", "content": {"type": "text"}}],
        "messages[0].content must be a text or a list of parts, not dict",
    ),
    ([{"role": "user", "content": [5]}], "messages[0].content[0] must be a part, not int"),
    (
        [{"role": "user", "content": ["a", {}]}],
        "messages[0].content[1].type must be a text, such as 'text' or 'image_url'",
    ),
    ([{"role": "user", "content": [{"type": []}]}], "messages[0].content[0].type must be a text"),
    ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text must be a text, not NoneType"),
    ([{"role": "user", "content": [{"type": "refusal"}]}], "messages[0].content[0].refusal must be a text"),
    ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].image_url must be {'url'"),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
        "messages[0].content[0].image_url must be {'url'",
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "x.png"}]}],
        "content[0] needs an http(s) or data",
    ),
    ([{"role": "user", "content": [{"type": "image_url", "image_url": "/x"}]}], "needs an http(s) or data"),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": ""}]}],
        "needs an http(s) or data",
    ),
    ([{"role": "user", "content": [{"type": "image_url", "image_url": "C:\\x.png"}]}], "ImagePart.from_file"),
    ([{"role": "user", "content": [{"type": "input_audio"}]}], "content[0].input_audio must be {'data'"),
    (
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": 5}}]}],
        "messages[0].content[0].input_audio.format must be a text, not int.",
    ),
    ([{"role": "user", "content": [{"type": "file"}]}], "content[0].file must be {'file_id'"),
    ([{"role": "user", "content": [{"type": "file", "file": {}}]}], "content[0].file must be {'file_id'"),
    (
        [{"role": "user", "content": [{"type": "file", "file": {"file_id": 5}}]}],
        "content[0].file.file_id must be a text",
    ),
    ([{"role": "user", "content": "x", "name": 5}], "messages[0].name must be a text, not int"),
    ([{"role": "assistant", "refusal": 5}], "messages[0].refusal must be a text, not int"),
    ([{"role": "assistant", "tool_calls": "x"}], "messages[0].tool_calls must be a list"),
    ([{"role": "assistant", "tool_calls": {"id": "x"}}], "messages[0].tool_calls must be a list"),
    ([{"role": "assistant", "tool_calls": [5]}], "messages[0].tool_calls[0] must be {'id'"),
    ([{"role": "assistant", "tool_calls": [{"id": "c"}]}], "messages[0].tool_calls[0] must be {'id'"),
    ([{"role": "assistant", "tool_calls": [{"id": 5, "function": {"name": "f"}}]}], "tool_calls[0].id must be a text"),
    (
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {}}]}],
        "tool_calls[0].function.name must be a text",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": object()}}]}],
        "tool_calls[0].function.arguments cannot be written as JSON",
    ),
    (
        [{"role": "user", "content": "x", "tool_calls": [WIRE_CALL]}],
        "messages[0] has tool_calls, which only an assistant",
    ),
    ([{"role": "tool", "content": "x", "tool_call_id": 5}], "messages[0].tool_call_id must be a text"),
    ([Message("user", ("hi",))], "messages[0].content[0] is not a content part but str"),  # type: ignore[arg-type]  # tested
    ([Message("assistant", tool_calls=({"id": "c"},))], "messages[0].tool_calls of a Message are ToolCall values"),  # type: ignore[arg-type]  # tested
    ([Message("bot")], "messages[0].role must be one of"),  # type: ignore[arg-type]  # tested
    ([Message.user(ImagePart("x.png"))], "messages[0].content[0] needs an http(s) or data URL"),
]


@pytest.mark.parametrize(("messages", "words"), WRONG, ids=[words[:60] for _, words in WRONG])
def test_a_wrong_shape_is_refused_with_its_place(messages: Any, words: str) -> None:
    """What cannot be read is refused before anything is sent, and the text names the place."""
    with pytest.raises(BadRequestError) as caught:
        read_messages(messages)
    assert words in str(caught.value)
    assert not caught.value.retryable


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2)
    | st.sampled_from(["", "user", "tool", "text", "assistant", IMAGE, "c1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "image_url",
                    "url",
                    "tool_calls",
                    "id",
                    "function",
                    "name",
                    "arguments",
                    "tool_call_id",
                    "file",
                    "file_id",
                    "input_audio",
                    "data",
                    "format",
                    "reasoning",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(VALUES)
def test_whatever_is_given_the_error_is_ours(value: Any) -> None:
    """Any value gives messages or a BadRequestError, never another exception."""
    try:
        read = read_messages(value)
    except BadRequestError:
        return
    assert all(isinstance(message, Message) for message in read)


# --- the values themselves


def test_constructors() -> None:
    """The constructors make what their names say."""
    assert Message.user("a", ImagePart(IMAGE)).content == (TextPart("a"), ImagePart(IMAGE))
    assert Message.tool(CALL, "x") == Message.tool("c1", "x")
    assert Message.tool("c1", "x", "y").text == "xy"
    assert Message.user("a", ImagePart(IMAGE), "b").text == "ab"
    assert Message.assistant("").content == ()


def test_images(tmp_path: Path) -> None:
    """An image part carries bytes, or a file with the media type of its name, or an address."""
    path = tmp_path / "x.jpg"
    path.write_bytes(b"x")
    assert ImagePart.from_file(path, detail="low") == ImagePart("data:image/jpeg;base64,eA==", "low")
    assert ImagePart.from_bytes(b"x", "image/webp").is_inline
    assert not ImagePart(IMAGE).is_inline
    (tmp_path / "odd").write_bytes(b"x")
    assert ImagePart.from_file(tmp_path / "odd").url.startswith("data:image/png;")


def test_usage_knows_its_total_only_from_both() -> None:
    """The total is known when both counts are."""
    assert Usage(1, 2).total_tokens == 3
    assert Usage(1, None).total_tokens is None
    assert Usage(None, 2).total_tokens is None
    assert Usage(0, 0).total_tokens == 0


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        *(("{}", {}), ("", {}), (" \n", {}), ("null", {}), (" null\n", {})),
        *(('{"x": [1]}', {"x": [1]}), ("[1]", [1]), ("5", 5), ("false", False), ('""', "")),
    ],
)
def test_arguments_are_parsed(arguments: str, value: Any) -> None:
    """`parsed` gives the values of a call's arguments; none, and null, are an empty object."""
    assert ToolCall("c", "f", arguments).parsed() == value


@pytest.mark.parametrize("arguments", ["{", "{'a': 1}", "NaN", '{"a": 1} x', "[" * 100_000])
def test_arguments_that_are_no_json(arguments: str) -> None:
    """Arguments that are not JSON are an error that names the tool and keeps the text."""
    with pytest.raises(MalformedReplyError, match=r"The arguments of the call of 'f' are not valid JSON") as caught:
        ToolCall("c", "f", arguments).parsed()
    assert caught.value.raw == arguments


def test_a_cut_call_is_not_parsed() -> None:
    """A call that was cut must not be run, even when its text happens to be JSON."""
    with pytest.raises(MalformedReplyError, match=r"was cut while its arguments were being written; do not run it"):
        ToolCall("c", "f", "{}", complete=False).parsed()
