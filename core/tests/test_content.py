"""What is asked and answered, where `[log] content` asks for it: without keys, bounded, in the conventions' form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import anyio
import attrs
import pytest
from tests.steps import count_steps

import chatport
from chatport import AudioPart, FilePart, ImagePart, Media, Message, TextPart, ToolCall, VendorPart, VideoPart
from chatport.call import Call
from chatport.decoding.content import told
from chatport.decoding.redaction import HIDDEN, hide_key, hide_keys
from chatport.testing import Emulator, faults

from .runs import BACKENDS, MODEL

KEY = "sk-canary-of-the-target-1f0c2e"
OTHER = "sk-canary-of-another-77aa90"
NAMED = "sk-canary-of-a-variable-55bb"
ENVIRONMENT = "hf_canaryOfTheEnvironment0042"
HEADER = "canary-of-a-header-314159"
KEYS = (KEY, OTHER, NAMED, ENVIRONMENT, HEADER)

Seen = list[tuple[str, Mapping[str, Any]]]


@pytest.fixture
def emulator() -> Emulator:
    return Emulator("compatible", api_key=KEY)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_OF_OURS", NAMED)
    monkeypatch.setenv("HF_TOKEN", ENVIRONMENT)


def config(emulator: Emulator, **log: Any) -> dict[str, Any]:
    tables = emulator.config()
    tables["providers"]["compatible"]["api_key"] = KEY
    for name, key in {"other": OTHER, "named": {"env": "CANARY_OF_OURS"}}.items():
        tables["providers"][name] = {"kind": "compatible", "base_url": "https://x.example/v1", "api_key": key}
    tables["providers"]["other"]["headers"] = {"x-team-token": f"Bearer {HEADER}"}
    return {**tables, "log": {"content": True, **log}, "retry": {"attempts": 1}}


def call(
    backend: str, emulator: Emulator, messages: Any, *, log: Mapping[str, Any] | None = None, **options: Any
) -> Seen:
    """Make a call, and return what an observer has heard of it."""
    seen: Seen = []
    made: dict[str, Any] = {"transport": emulator, "observers": [lambda event, fields: seen.append((event, fields))]}
    tables = config(emulator, **(log or {}))

    async def main() -> None:
        async with chatport.AsyncClient(tables, **made) as client:
            await client.chat(messages, model=MODEL, **options)

    try:
        if backend == "sync":
            with chatport.Client(tables, **made) as client:
                client.chat(messages, model=MODEL, **options)
        else:
            anyio.run(main, backend=backend)
    except chatport.ChatportError:
        pass
    return seen


def field(seen: Seen, name: str) -> Any:
    return next(fields[name] for _, fields in seen if name in fields)


# --- who asks for it gets it, and nobody else


@pytest.mark.parametrize("backend", BACKENDS)
def test_prompt_and_answer_are_told_where_the_configuration_says_so(backend: str, emulator: Emulator) -> None:
    messages = [Message.system("Be short."), Message.user("say: good day\nthink: a greeting")]
    seen = call(backend, emulator, messages)
    assert field(seen, "input_messages") == [
        {"role": "system", "parts": [{"type": "text", "content": "Be short."}]},
        {"role": "user", "parts": [{"type": "text", "content": "say: good day\nthink: a greeting"}]},
    ]
    (answer,) = field(seen, "output_messages")
    assert answer["parts"][-1] == {"type": "text", "content": "good day"}
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert [event for event, fields in seen if "input_messages" in fields] == ["call_started"]
    assert [event for event, fields in seen if "output_messages" in fields] == ["call_finished"]
    assert "left_out_messages" not in dict(seen)["call_started"]


@pytest.mark.parametrize("log", [{"content": False}, {"content": False, "content_bytes": 10}])
def test_nothing_is_told_of_it_otherwise(log: Mapping[str, Any], emulator: Emulator) -> None:
    seen = call("sync", emulator, "say: PROMPT", log=log)
    assert [event for event, _ in seen][-1] == "call_finished"
    assert "PROMPT" not in repr(seen)
    assert not any("messages" in name for _, fields in seen for name in fields)


def test_it_is_off_unless_said() -> None:
    assert chatport.load_config({}, environment={}).log.content is False


@pytest.mark.parametrize(
    ("table", "words"),
    [({"content": "yes"}, "content is true or false"), ({"content_bytes": 0}, "above 0"), ({"contents": True}, "Did")],
)
def test_a_wrong_setting_is_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match=words) as caught:
        chatport.Client({"log": table})
    assert "[log]" in caught.value.message


def test_what_came_of_a_stream_that_was_left_is_told(emulator: Emulator) -> None:
    seen: Seen = []
    made: dict[str, Any] = {"transport": emulator, "observers": [lambda *told: seen.append(told)]}
    with chatport.Client(config(emulator), **made) as client, client.stream("say: one two", model=MODEL) as stream:
        first = next(event for event in stream if isinstance(event, chatport.TextDelta))
    assert seen[-1][0] == "call_cancelled"
    (answer,) = seen[-1][1]["output_messages"]
    assert answer["parts"][0]["content"].startswith(first.text)


def test_what_came_before_a_cut_is_told() -> None:
    emulator = Emulator("compatible", api_key=KEY, faults=[faults.cut(after_events=3)])
    seen: Seen = []
    made: dict[str, Any] = {"transport": emulator, "observers": [lambda *told: seen.append(told)]}
    cut = pytest.raises(chatport.StreamInterruptedError)
    with (
        chatport.Client(config(emulator), **made) as client,
        cut as caught,
        client.stream("say: a b", model=MODEL) as s,
    ):
        list(s)
    assert caught.value.partial is not None
    assert caught.value.partial.text
    assert seen[-1][0] == "call_failed"
    assert seen[-1][1]["output_messages"][0]["parts"][-1]["content"] == caught.value.partial.text


# --- no key in it


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_key_that_is_known_is_hidden(backend: str, emulator: Emulator) -> None:
    """The target's own, those of other providers, of variables that are named, of the environment, of headers."""
    text = " ".join(KEYS)
    seen = call(backend, emulator, f"say: {text}")
    content = repr([field(seen, "input_messages"), field(seen, "output_messages")])
    assert content.count("***") >= 2 * len(KEYS)
    assert not [key for key in KEYS if key in content]


def test_a_key_in_arguments_results_names_and_escapes_is_hidden() -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY)
    asked = ToolCall(f"id {KEY}", f"tool {KEY}", json.dumps({KEY: [KEY]})[:-1] + f', "b": "{escaped}"' + "}")
    messages = (
        Message.assistant("x", tool_calls=(asked,)),
        Message.tool(asked, f"found {KEY}"),
        Message.user(VendorPart({"type": "x", "key": KEY}), ImagePart(f"https://x.example/{KEY}/a.png")),
    )
    content = told(Call(messages), 10_000, (KEY,))
    assert KEY not in repr(content)
    assert escaped not in repr(content)
    assert content["input_messages"][0]["parts"][1]["arguments"] == {"***": ["***"], "b": "***"}
    assert content["input_messages"][1]["parts"][0]["response"] == "found ***"


def test_a_key_at_the_place_of_the_cut_is_hidden_too() -> None:
    for most in range(1, 80):
        content = told(Call((Message.user("a" * 20 + KEY + "b" * 20),)), most, KEY)
        assert not any(KEY[:length] in repr(content) for length in range(12, len(KEY) + 1)), most


def test_of_two_keys_the_longer_one_is_hidden_whole() -> None:
    content = told(Call((Message.user(f"{KEY}-and-more"),)), 1000, (KEY, f"{KEY}-and-more"))
    assert content["input_messages"][0]["parts"][0]["content"] == "***"


# --- bounded


@pytest.mark.parametrize("most", [100, 1_000, 10_000])
def test_it_has_no_more_bytes_than_were_allowed_and_says_what_is_missing(most: int) -> None:
    messages = tuple(Message.user(f"{number} " + "ä€🙂" * 100) for number in range(1000))
    content = told(Call(messages), most, "")
    shown = content["input_messages"]
    texts = "".join(part["content"] for message in shown for part in message["parts"])
    assert len(texts.encode()) <= most + len("… [cut: the whole text has 1,000 characters]".encode())
    assert content["left_out_messages"] == 1000 - len(shown)
    assert shown[-1]["parts"][0]["content"].startswith("999")  # the newest have their room first
    assert "[cut: the whole text has" in shown[0]["parts"][0]["content"]


def test_what_fits_is_whole() -> None:
    content = told(Call((Message.user("ä" * 100),)), 264, "")
    assert content == {"input_messages": [{"role": "user", "parts": [{"type": "text", "content": "ä" * 100}]}]}


def test_empty_messages_have_an_end_too() -> None:
    content = told(Call((Message.user(""),) * 100_000), 32_768, "")
    assert len(content["input_messages"]) <= 1024


def test_bytes_of_media_are_counted_and_addresses_lose_their_signature() -> None:
    picture = ImagePart.from_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 1000)
    message = Message.user(
        picture, ImagePart("https://me:word@x.example/a.png?sig=SECRET"), FilePart("file-1"), FilePart(data=b"%PDF-1.7")
    )
    (shown,) = told(Call((message,)), 10_000, "")["input_messages"]
    assert shown["parts"] == [
        {"type": "blob", "content": "", "left_out_bytes": 1008, "modality": "image", "mime_type": "image/png"},
        {"type": "uri", "uri": "https://x.example/a.png?…", "modality": "image"},
        {"type": "file", "modality": "document", "file_id": "file-1"},
        {"type": "blob", "content": "", "left_out_bytes": 9, "modality": "document", "mime_type": "application/pdf"},
    ]


def test_speech_videos_and_pictures_among_results_are_told() -> None:
    asked = ToolCall("c", "look", "{}")
    messages = (
        Message.user(
            AudioPart("eHh4eHh4", "wav"), AudioPart("eHh4", ""), VideoPart("https://x.example/a.mp4?sig=SECRET")
        ),
        Message.tool(asked, TextPart("here:"), ImagePart("https://x.example/a.png")),
    )
    speech, result = told(Call(messages), 10_000, "")["input_messages"]
    assert speech["parts"] == [
        {"type": "blob", "content": "", "left_out_bytes": 6, "modality": "audio", "mime_type": "audio/wav"},
        {"type": "blob", "content": "", "left_out_bytes": 3, "modality": "audio"},
        {"type": "uri", "uri": "https://x.example/a.mp4?…", "modality": "video"},
    ]
    (part,) = result["parts"]
    assert part["response"] == [
        {"type": "text", "content": "here:"},
        {"type": "uri", "uri": "https://x.example/a.png", "modality": "image"},
    ]


def test_pictures_speech_and_files_of_an_answer_are_told() -> None:
    media = (
        Media("image", url="https://x.example/a.png?sig=SECRET"),
        Media("audio", data="eHh4", media_type="audio/wav"),
        Media("file", data="eHh4", media_type="application/pdf"),
    )
    (answer,) = told(chatport.Reply("here", media=media), 10_000, "")["output_messages"]
    assert answer["parts"] == [
        {"type": "text", "content": "here"},
        {"type": "uri", "uri": "https://x.example/a.png?…", "modality": "image"},
        {"type": "blob", "content": "", "left_out_bytes": 3, "modality": "audio", "mime_type": "audio/wav"},
        {"type": "blob", "content": "", "left_out_bytes": 3, "modality": "document", "mime_type": "application/pdf"},
    ]


def test_a_call_without_an_id_has_none() -> None:
    asked: Any = ToolCall("", "look", "{}")
    message = attrs.evolve(Message.tool(asked, "r"), tool_call_id=None)
    (told_one,) = told(Call((message,)), 1000, "")["input_messages"]
    assert told_one["parts"] == [{"type": "tool_call_response", "id": None, "response": "r"}]


def test_all_of_an_answer_is_told() -> None:
    calls = (ToolCall("c1", "look", '{"a": 1}'), ToolCall("c2", "look", '{"a": '))
    reply = chatport.Reply(
        "text", "thought", calls, "tool_calls", refusal="no", alternatives=(chatport.Alternative("second"),)
    )
    first, second = told(reply, 10_000, "")["output_messages"]
    assert [part["type"] for part in first["parts"]] == ["reasoning", "text", "refusal", "tool_call", "tool_call"]
    assert [part["arguments"] for part in first["parts"][3:]] == [{"a": 1}, '{"a": ']
    assert first["finish_reason"] == "tool_call"  # the word of the conventions
    assert second["parts"] == [{"type": "text", "content": "second"}]


@pytest.mark.parametrize("arguments", ["[" * 5000, '{"a":' * 195 + "1" + "}" * 195, "\ud800", '"\\ud800"', "NaN"])
def test_no_arguments_break_it(arguments: str) -> None:
    reply = chatport.Reply(tool_calls=(ToolCall("\ud800", "look", arguments),), finish_reason="tool_calls")
    content = told(reply, 10_000, "")
    json.dumps(content, allow_nan=False)


def test_what_cannot_be_told_is_a_warning_and_the_call_goes_on(emulator: Emulator) -> None:
    seen: Seen = []
    made: dict[str, Any] = {"transport": emulator, "observers": [lambda *told: seen.append(told)]}
    asked = Message.user("say: well", ImagePart("https://[no-host/a.png"))
    with (
        chatport.Client(config(emulator), **made) as client,
        pytest.warns(RuntimeWarning, match=r"^The content of a call could not be told: ValueError\.$"),
    ):
        assert client.chat(asked, model=MODEL).text == "well"
    assert "input_messages" not in dict(seen)["call_started"]
    assert dict(seen)["call_finished"]["output_messages"][0]["parts"] == [{"type": "text", "content": "well"}]


def test_it_cannot_be_written_to() -> None:
    content = told(Call((Message.user("a"),)), 100, "")["input_messages"]
    with pytest.raises(TypeError):
        content[0]["parts"].append("b")


FORMS: dict[str, Any] = {
    "as it is": lambda key: key,
    "json": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "json, escaped again": lambda key: json.dumps("".join(f"\\u{ord(c):04x}" for c in key)),
    "half of it": lambda key: key[:3] + "".join(f"\\u{ord(c):04x}" for c in key[3:]),
    "slashes": lambda key: key.replace("/", "\\/").replace("-", "\\-"),
    "percent": lambda key: "".join(f"%{ord(c):02X}" for c in key),
    "percent, twice": lambda key: "".join(f"%25{ord(c):02x}" for c in key),
    "html": lambda key: "".join(f"&#x{ord(c):x};" for c in key),
    "decimal": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "after an escape": lambda key: f"\\n{key}\\t\\x41",
    "after what looks like one": lambda key: f"C:\\{key} %4{key}",
    "cut": lambda key: f"{key[:14]} and more",
}


@pytest.mark.parametrize("form", FORMS)
def test_many_keys_are_hidden_as_one_is(form: str) -> None:
    """Of twenty keys the one that is there is found in every form in which it would be found alone."""
    keys = [f"sk-{number:02d}/x41u0041-abcdef+{number:02d}" for number in range(18)]
    keys += ["x41bcdefghij", "u0041bcdefg"]  # behind a backslash they look like escapes
    for key in keys:
        text = f'{{"a": "{FORMS[form](key)}"}} \\n and & words % of others \\u0061\\x41'
        assert hide_keys(text, keys) == hide_key(text, key)
        assert HIDDEN in hide_keys(text, keys)


def test_it_is_quick_though_there_are_many_keys_and_escapes() -> None:
    """The work grows with the text, and hardly with the number of keys: counted in steps, not in seconds."""

    def steps(keys: int, length: int) -> int:
        text = 'word \\n & "x": \\u0041 ' * length
        known = tuple(f"sk-{number:040d}" for number in range(keys))
        return count_steps(lambda: told(Call((Message.user(text),)), 32_768, known))

    assert steps(40, 500) < 2 * steps(1, 500)
    assert steps(20, 100_000) < 1.5 * steps(20, 10_000)  # what has no room is not read
