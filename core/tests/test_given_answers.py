"""`Emulator(answers=[…])`: which request gets which answer, and what an answer may be."""

from __future__ import annotations

import json
import threading
import urllib.request
from typing import Any
from urllib.error import HTTPError

import anyio
import pytest

import chatport
from chatport import ImagePart, Message, Reply, TextPart, ToolCall
from chatport.testing import Answer, EmulatedRequest, Emulator, NoAnswerError, VirtualClock, faults

MODEL = "compatible:emulated-model"


def client_of(emulator: Emulator, attempts: int = 1, **options: Any) -> chatport.Client:
    return chatport.Client(config=emulator.config(retry={"attempts": attempts}), transport=emulator, **options)


def ask(emulator: Emulator, messages: Any = "hi", **options: Any) -> Reply:
    with client_of(emulator) as client:
        return client.chat(messages, model=MODEL, **options)


def test_answers_come_in_order_and_then_it_is_loud() -> None:
    emulator = Emulator("compatible", answers=["one", "two"])
    assert (ask(emulator).text, emulator.answers_left, ask(emulator).text) == ("one", 1, "two")
    with pytest.raises(NoAnswerError, match=r"all 2 of its answers were given before"):
        ask(emulator)
    assert len(emulator.requests) == 3


def test_no_retry_and_no_other_target_hides_that_answers_are_used_up() -> None:
    emulator = Emulator("compatible", answers=[])
    config = emulator.config(aliases={"main": [MODEL, MODEL]})
    with chatport.Client(config=config, transport=emulator) as client, pytest.raises(NoAnswerError):
        client.chat("hi", model="main")
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_same_without_blocking(backend: str) -> None:
    emulator = Emulator("compatible", answers=["one two", "three"])

    async def main() -> None:
        async with chatport.AsyncClient(config=emulator.config(), transport=emulator) as client:
            async with client.stream("hi", model=MODEL) as stream:
                pieces = [event.text async for event in stream if isinstance(event, chatport.TextDelta)]
            assert pieces == ["one", " two"]
            assert (await client.chat("hi", model=MODEL)).text == "three"
            with pytest.raises(NoAnswerError):
                await client.chat("hi", model=MODEL)

    anyio.run(main, backend=backend)


def test_on_a_port_it_says_so_and_nobody_tries_again() -> None:
    with Emulator("compatible", answers=["one"]) as emulator:
        with chatport.Client(config=emulator.config()) as client:
            assert client.chat("hi", model=MODEL).text == "one"
            with pytest.raises(chatport.ServerError, match="has no answer for this request"):
                client.chat("hi", model=MODEL)
        assert len(emulator.requests) == 2


def test_what_the_vendor_refuses_uses_up_no_answer() -> None:
    emulator = Emulator("compatible", answers=["one"])
    with client_of(emulator) as client:
        with pytest.raises(chatport.ModelNotFoundError):
            client.chat("hi", model="compatible:no-such-model")
        assert [model.id for model in client.models("compatible")] == ["emulated-model"]
        assert client.chat("hi", model=MODEL).text == "one"


def test_a_fault_beside_the_answers_leaves_the_answer_for_the_next_request() -> None:
    clock = VirtualClock()
    emulator = Emulator("compatible", answers=["one", "two"], faults=[faults.rate_limited(1), None], clock=clock)
    with client_of(emulator, 3, clock=clock.clock) as client:
        assert client.chat("hi", model=MODEL).text == "one"
        assert client.chat("hi", model=MODEL).text == "two"
    assert len(emulator.requests) == 3


def test_a_fault_or_an_error_stands_in_the_place_of_an_answer() -> None:
    clock = VirtualClock()
    answers: list[Answer] = [
        chatport.RateLimitError("slowly", retry_after_seconds=7),
        chatport.TransportError,
        chatport.ServerError("odd", status=599),
        faults.cut(after_events=3, how="reset"),
        "at last",
    ]
    emulator = Emulator("compatible", answers=answers, clock=clock)
    with client_of(emulator, 5, clock=clock.clock) as client:
        reply = client.chat("say: a b c", model=MODEL)
    assert reply.text == "at last"
    assert [(attempt.outcome, attempt.status) for attempt in reply.attempts] == [
        ("RateLimitError", 429), ("TransportError", None), ("ServerError", 599), ("TransportError", 200), ("ok", 200),
    ]  # fmt: skip
    assert clock.waits[0] == 7


def test_a_timer_and_a_broken_stream_are_answers_too() -> None:
    clock = VirtualClock()
    emulator = Emulator("compatible", answers=[chatport.DeadlineError, chatport.StreamInterruptedError], clock=clock)
    with client_of(emulator, clock=clock.clock) as client:
        with pytest.raises(chatport.DeadlineError):
            client.chat("hi", model=MODEL, timeout={"total": 30})
        assert clock.elapsed_seconds == 30
        with pytest.raises(chatport.StreamInterruptedError) as caught, client.stream("hi", model=MODEL) as stream:
            for _ in stream:
                pass
        assert caught.value.partial is not None
        assert caught.value.partial.text


def test_none_answers_what_the_request_asks_for() -> None:
    emulator = Emulator("compatible", answers=[None, "given"])
    assert [ask(emulator, "say: asked").text, ask(emulator, "say: asked").text] == ["asked", "given"]


def test_a_function_gives_answers_and_is_asked_once_for_each() -> None:
    seen: list[tuple[int, str]] = []

    def answers(number: int, request: EmulatedRequest) -> str:
        seen.append((number, request.json()["messages"][-1]["content"]))
        return f"answer {number}"

    emulator = Emulator("compatible", answers=answers)
    assert [ask(emulator, "a").text, ask(emulator, "b").text] == ["answer 1", "answer 2"]
    assert seen == [(1, "a"), (2, "b")]
    assert emulator.answers_left == 0


def test_repeat_starts_over() -> None:
    emulator = Emulator("compatible", answers=["one", "two"], repeat=True)
    assert [ask(emulator).text for _ in range(3)] == ["one", "two", "one"]


def test_messages_replies_and_dicts_are_said() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}
    answers: list[Answer] = [
        Message.assistant("A text.", tool_calls=(ToolCall("1", "look", "{}"),)),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        Reply("cut here", finish_reason="length"),
        Message("assistant", (TextPart("See:"), ImagePart("https://example.com/x.png"))),
        Reply(refusal="I will not."),
    ]
    emulator = Emulator("compatible", answers=answers)
    first, second, third, fourth, fifth = (ask(emulator) for _ in answers)
    assert (first.text, first.tool_calls[0].name, first.finish_reason) == ("A text.", "look", "tool_calls")
    assert second.tool_calls[0].parsed() == {"at": "it"}
    assert (third.text, third.finish_reason) == ("cut here", "length")
    assert [media.url for media in fourth.media] == ["https://example.com/x.png"]
    assert fifth.refusal == "I will not."


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (7, "not a value of the type int"),
        (Message.user("hi"), "the model answers as the assistant, not as 'user'"),
        ({"role": "assistant", "content": 7}, "is no message"),
        (Reply("x", finish_reason="content_filter"), "ends with 'content_filter'"),
        (chatport.ContextLengthError, "no error that a status alone tells"),
        (ValueError("x"), "not a value of the type ValueError"),
        ([], "not a value of the type list"),
    ],
)
def test_what_nobody_can_say_is_refused_at_once_with_its_place(answer: Any, words: str) -> None:
    with pytest.raises(chatport.ConfigurationError, match=r"answers\[1\]") as caught:
        Emulator("compatible", answers=["fine", answer])
    assert words in str(caught.value)


def test_answers_are_a_list() -> None:
    with pytest.raises(chatport.ConfigurationError, match="answers are a list, or a function"):
        Emulator("compatible", answers="one")


def test_many_threads_share_the_answers_without_losing_one() -> None:
    wanted = [str(number) for number in range(40)]
    emulator = Emulator("compatible", answers=wanted)
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.extend(ask(emulator).text for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=int) == wanted


def test_any_program_gets_them_by_http() -> None:
    with Emulator("compatible", answers=["one"]) as emulator:
        body = json.dumps({"model": "emulated-model", "messages": [{"role": "user", "content": "hi"}]}).encode()
        request = urllib.request.Request(f"{emulator.base_url}/chat/completions", body, {"authorization": "Bearer x"})
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["choices"][0]["message"]["content"] == "one"
        with pytest.raises(HTTPError) as caught:
            urllib.request.urlopen(request)
        assert caught.value.headers["x-should-retry"] == "false"
        caught.value.close()
