"""What a job asks of a row, what it keeps of it, and by what it is told from another one."""

from __future__ import annotations

from typing import Any

import pytest

from chatport import (
    Attempt,
    BadRequestError,
    ConfigurationError,
    ImagePart,
    Message,
    Reply,
    ServerError,
    TextPart,
    Usage,
)
from chatport_bulk import Job, Row
from chatport_bulk.answers import failure_of

from .conftest import MODEL, World, write_jsonl


def weather(city: str) -> str:
    """Say how the weather is."""
    return city


TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
SYSTEM = Message("system", (TextPart("Be brief."),))


@pytest.mark.parametrize(
    "content",
    [
        {"prompt": "say: it"},
        {"messages": '"say: it"', "prompt": "x"},
        {"messages": None, "prompt": "say: it"},
        {"messages": "", "prompt": "say: it"},
    ],
)
def test_a_row_without_a_prompt_asks_what_its_own_columns_say(content: dict[str, Any]) -> None:
    assert Job(MODEL).messages(Row(1, content)) == "say: it"


def test_a_row_that_says_nothing_of_its_own_needs_a_prompt() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Job(MODEL).messages(Row(1, {"messages": None, "text": "a"}))
    assert caught.value.message == (
        "No prompt is given, and the row has neither a column `messages` nor `prompt`; it has: messages, text."
    )
    with pytest.raises(ConfigurationError, match="it has: none"):
        Job(MODEL).messages(Row(1, {}))


def test_messages_of_a_csv_are_json_and_the_system_prompt_goes_before_them(world: World) -> None:
    world.rows = world.folder / "rows.csv"
    world.rows.write_text(
        'messages\n"[{""role"": ""user"", ""content"": ""say: first""}, {""role"": ""assistant"", ""content"": ""a""}, '
        '{""role"": ""user"", ""content"": ""say: own""}]"\n',
        "utf-8",
    )
    world.run(Job(MODEL, system="Be brief."))
    assert [row["answer"] for row in world.answers()] == ["own"]
    sent = world.emulator.requests[0].json()["messages"]
    assert [(one["role"], one["content"]) for one in sent] == [
        ("system", "Be brief."),
        ("user", "say: first"),
        ("assistant", "a"),
        ("user", "say: own"),
    ]


def test_a_function_that_gives_messages_is_sent_as_it_says_where_there_is_no_system_prompt() -> None:
    said = [Message.user("a")]
    with pytest.raises(BadRequestError, match="This row has whole messages"):
        Job(MODEL, lambda row: said, images=("picture",)).messages(Row(1, {}))
    assert Job(MODEL, lambda row: said, system="Be brief.").messages(Row(1, {})) == [SYSTEM, *said]


@pytest.mark.parametrize("place", ["https://a.example/b.png", "http://a.example/b.png", "data:image/png;base64,AAAA"])
def test_an_image_with_an_address_is_sent_as_it_is(place: str) -> None:
    (asked,) = Job(MODEL, "{text}", images=("picture",)).messages(Row(1, {"text": "see", "picture": place}))
    assert asked == Message("user", (TextPart("see"), ImagePart(place)))


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_row_without_its_image_is_asked_without_one(nothing: str | None) -> None:
    row = Row(1, {"text": "see", "picture": nothing})
    assert Job(MODEL, "{text}", images=("picture", "gone")).messages(row) == [Message("user", (TextPart("see"),))]


def test_an_image_that_is_no_text_is_said() -> None:
    job = Job(MODEL, "{text}", images=("picture",))
    with pytest.raises(BadRequestError) as caught:
        job.messages(Row(1, {"text": "see", "picture": 7}))
    assert caught.value.message == "The column 'picture' of images holds a path or an address, not int."


def test_tools_go_into_the_call_and_a_call_of_them_is_an_answer(world: World) -> None:
    write_jsonl(world.rows, [{"text": "a"}])
    assert world.run(Job(MODEL, "say: {text}", tools=(TOOL,))).standing.answered == 1
    assert [tool["function"]["name"] for tool in world.emulator.requests[0].json()["tools"]] == ["look_up"]
    assert Job(MODEL, tools=(TOOL,), options={"seed": 7}).call_options() == {"seed": 7, "tools": [TOOL]}
    assert Job(MODEL, output=int).call_options() == {"output": int, "retry_invalid": 1}
    assert Job(MODEL, output=int, retry_invalid=0).call_options() == {"output": int}


def test_all_columns_are_kept_for_a_star_and_a_missing_one_is_null() -> None:
    row = Row(1, {"a": 1, "b": 2})
    assert Job(MODEL).kept(row) is None
    assert Job(MODEL, keep=["x", "*"]).kept(row) == {"a": 1, "b": 2}
    assert Job(MODEL, keep=["b", "c"]).kept(row) == {"b": 2, "c": None}


def test_a_key_that_is_empty_is_none() -> None:
    job = Job(MODEL, key="id")
    assert (job.key_of({"id": 0}, 5), Job(MODEL).key_of({"id": 0}, 5)) == ("0", 5)
    for content in ({}, {"id": None}, {"id": ""}):
        with pytest.raises(BadRequestError, match=r"^The row has nothing in its key column 'id'\.$"):
            job.key_of(content, 5)


class _Asks:
    def __init__(self, word: str) -> None:
        self.word = word

    def __call__(self, row: object) -> str:
        return f"say: {self.word}"


def _made(source: str) -> Any:
    """Return a function of whose source nothing is known."""
    found: dict[str, Any] = {}
    exec(source, found)
    return found["ask"]


def test_a_function_without_its_source_is_told_by_its_name_and_its_code() -> None:
    one, same, other = (_made(f"def ask(row):\n    return {what}") for what in ("row", "row", "row['a']"))
    told = [Job(MODEL, function).fingerprint()["prompt"] for function in (one, same, other)]
    assert told[0].startswith("ask ")
    assert told[0] == told[1] != told[2]
    told = [Job(MODEL, asks).fingerprint()["prompt"] for asks in (_Asks("a"), _Asks("b"))]
    assert told[0] == told[1]
    assert told[0].strip() == "<class 'bulk.tests.test_job._Asks'>"


def test_a_job_is_told_from_another_by_what_is_set_and_by_nothing_else() -> None:
    options = {"temperature": 0, "seed": 0.0, "stop": False, "top_p": None}
    told = {"option temperature": "0", "option seed": "0.0", "option stop": "false"}
    assert Job(MODEL, options=options).fingerprint() == {"format": "jsonl", "model": MODEL, **told}
    assert Job(MODEL, dedupe=False, keep=[], system="").fingerprint() == {"format": "jsonl", "model": MODEL}
    assert Job(MODEL, tools=[weather], options={"seed": 7}, dedupe=True, key="id").fingerprint() == {
        "dedupe": "true", "format": "jsonl", "key": "id", "model": MODEL, "option seed": "7", "tools": '["weather"]'
    }  # fmt: skip
    assert Job(MODEL, tools=[TOOL]).fingerprint()["tools"].startswith('[{"function":{"name":"look_up",')


def test_a_long_setting_is_told_by_its_beginning_and_a_digest_of_the_whole() -> None:
    assert Job(MODEL, "x" * 60).fingerprint()["prompt"] == "x" * 60
    one, other = (Job(MODEL, "x" * 60 + end).fingerprint()["prompt"] for end in "ab")
    assert one.startswith("x" * 60 + "… (61 characters, ")
    assert len(one) == len(other) == 60 + len("… (61 characters, )") + 16
    assert one != other


def test_an_error_of_the_users_own_function_is_a_failure_of_its_row_cut_at_its_length(world: World) -> None:
    def ask(row: Any) -> str:
        if row["text"] == "bad":
            raise ValueError("é" * 3000)
        return f"say: {row['text']}"

    write_jsonl(world.rows, [{"text": "bad"}, {"text": "good"}])
    report = world.run(Job(MODEL, ask, keep=["text"]))
    assert (report.standing.answered, report.standing.failures) == (1, {"ValueError": 1})
    (failed,) = world.failed()
    assert failed == {
        "key": "1", "text": "bad", "error": "é" * 2000, "kind": "ValueError", "attempts": 0, "seconds": 0.0
    }  # fmt: skip


def test_what_had_come_before_an_error_is_kept_with_it() -> None:
    exchanges = (Attempt("p:m", "ServerError", 0.5), Attempt("p:m", "ServerError", 1.0, wait_seconds=0.25))
    part = Reply("so f", provider="p", model="m", usage=Usage(7, 3), attempts=exchanges[:1])
    error = ServerError("It was cut. " + "x" * 3000, partial=part, attempts=exchanges)
    answer = failure_of("k", error, {"a": 1})
    assert (answer.answer, answer.input_tokens, answer.output_tokens, answer.target) == ("so f", 7, 3, "p:m")
    assert (answer.kind, answer.error, answer.attempts, answer.kept) == (
        "ServerError", error.message[:2000], 2, {"a": 1}
    )  # fmt: skip
    without = failure_of("k", ServerError("It was cut.", attempts=exchanges), None)
    assert (without.answer, without.attempts, without.seconds) == (None, 2, 1.75)


def test_a_failure_of_a_call_names_its_target_and_its_attempts() -> None:
    error = BadRequestError("x" * 3000, provider="p", model="m")
    answer = failure_of("k", error, {"a": 1})
    assert (answer.key, answer.kind, answer.target, answer.kept) == ("k", "BadRequestError", "p:m", {"a": 1})
    assert answer.error is not None
    assert len(answer.error) == 2000
    assert (failure_of(1, ConfigurationError("no"), None).target, answer.attempts) == (None, 0)
