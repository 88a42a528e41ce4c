"""What the smaller commands write, to the letter: decode, embed, explain, emulate, doctor; and exit codes of errors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

import chatport
from chatport import errors as e
from chatport.cli.failures import REFUSED, reporting_errors, tell_error
from chatport.testing import Emulator
from chatport.testing.fault_words import fault_lines
from chatport.types import Attempt

from .cli_runs import KEY, Folder, Typed, opened, table
from .test_cli_chat import Embedding

FAST = "acme:acme-fast"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    yield from opened(tmp_path, monkeypatch, capsys)


# --- exit codes


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (
            2,
            "ConfigurationError PluginError PolicyError BudgetExceededError BadRequestError ModelNotFoundError "
            "ContextLengthError UnsupportedFeatureError",
        ),
        (3, "AuthenticationError PermissionDeniedError QuotaExceededError"),
        (4, "RateLimitError OverloadedError ServerError TransportError DeadlineError"),
        (5, "MalformedReplyError StreamInterruptedError"),
        (6, "ContentFilterError"),
        (1, "ChatportError RunLimitError"),
    ],
)
def test_an_error_has_its_exit_code_by_whose_fault_it_is(
    code: int, names: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    for name in names.split():
        error = getattr(e, name)("It is so.")
        assert (tell_error(error), name) == (code, name)
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == ("", f"{name}: {error}\n")
    assert REFUSED == 6


@pytest.mark.parametrize(
    ("count", "more"), [(0, ""), (1, ""), (2, "  after 2 attempts\n"), (3, "  after 3 attempts\n")]
)
def test_attempts_are_told_where_there_were_several(
    count: int, more: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    error = e.ServerError("It is down.", attempts=(Attempt("a:b", "ServerError", 0.1),) * count)
    with pytest.raises(click.exceptions.Exit) as ended, reporting_errors():
        raise error
    assert ended.value.exit_code == 4
    assert capsys.readouterr().err == f"ServerError: {error}\n{more}"


def test_an_error_that_is_none_of_ours_is_not_caught() -> None:
    with pytest.raises(KeyError, match="mine"), reporting_errors():
        raise KeyError("mine")


# --- decode


def reply(folder: Folder, **message: Any) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2}
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi", **message}, "finish_reason": "stop"}
    text = json.dumps({"model": "m", "choices": [choice], "usage": usage})
    (folder.path / "reply.json").write_text(text, "utf-8")


def test_a_decoded_answer_is_followed_by_its_figures(folder: Folder) -> None:
    source = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    reply(folder, annotations=[source])
    done = folder.run("decode", "--plain", "reply.json")
    assert done == (0, "Hi\n", "  [1] A — https://a.example\ncompatible:m · 9 in, 2 out · cost unknown\n")


def test_a_decoded_answer_is_followed_by_its_warnings(folder: Folder) -> None:
    body = {"model": "m", "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}
    done = folder.run("decode", "--plain", stdin=json.dumps(body))
    assert (done.code, done.out) == (0, "Hi\n")
    first, second = done.err.splitlines()
    assert first == "compatible:m · tokens unknown · cost unknown"
    assert second.startswith("  missing usage: ")
    done = folder.run("decode", "--plain", "--json", stdin=json.dumps(body))
    assert (done.code, done.err) == (0, "")  # a program finds them in the event
    assert json.loads(done.out.splitlines()[-1])["reply"]["warnings"][0]["field"] == "usage"


def test_a_decoded_text_is_raw_where_that_is_asked_for(folder: Folder) -> None:
    reply(folder, content="a\x1bb")
    assert folder.run("decode", "--plain", "reply.json").out == "a\\x1bb\n"
    assert folder.run("decode", "--plain", "--raw", "reply.json").out == "a\x1bb\n"


def test_status_and_headers_of_a_recording_are_heeded(folder: Folder) -> None:
    (folder.path / "error.json").write_text('{"error": {"message": "slowly"}}', "utf-8")
    recorded = ("error.json", "--status", "429", "-H", "Retry-After: 7", "--header", "X-Request-Id:r:1")
    done = folder.run("decode", "--json", *recorded)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("RateLimitError: compatible: slowly [compatible:recorded, HTTP 429, request r:1] ")
    assert "asks to wait 7 s." in done.err
    assert "HTTP 429" in folder.run("decode", "error.json", "--status", "429", "--model", "m").err
    assert "compatible:m" in folder.run("decode", "error.json", "--status", "429", "-m", "m").err
    assert folder.run("decode", "error.json", "--status", "401").code == 3
    for status in ("99", "600"):
        assert "is not in the range 100<=x<=599" in folder.run("decode", "error.json", "--status", status).err
    for status in ("100", "599"):
        assert "is not in the range" not in folder.run("decode", "error.json", "--status", status).err


def test_whose_bytes_they_are_is_said(folder: Folder) -> None:
    message = {"type": "message", "role": "assistant", "model": "claude", "content": [{"type": "text", "text": "Hi"}]}
    body = {**message, "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 1}}
    (folder.path / "reply.json").write_text(json.dumps(body), "utf-8")
    for option in ("-p", "--provider"):
        done = folder.run("decode", "--plain", option, "anthropic", "reply.json")
        assert (done.code, done.out) == (0, "Hi\n"), done.err
        assert done.err.startswith("anthropic:claude · 3 in, 1 out · ")
    assert folder.run("decode", "--plain", "reply.json").code == 5


def test_a_stream_is_one_unless_said_otherwise(folder: Folder) -> None:
    end = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    body = f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n"
    assert folder.run("decode", stdin=body)[:2] == (0, "Hi\n")


@pytest.mark.parametrize("header", ["no-colon", "a b:1", ":3", " : 3", "a\u00e9:1", "a/b:1"])
def test_a_header_is_a_name_and_a_value(folder: Folder, header: str) -> None:
    done = folder.run("decode", "-H", header, stdin="{}")
    assert (done.code, done.out) == (2, "")
    assert "Invalid value for '--header': " in done.err
    assert "is not NAME:VALUE, such as retry-after:3." in done.err


def test_every_sign_of_a_headers_name_is_one() -> None:
    from chatport.cli.decode import _header

    name = "!#$%&'*+.^_`|~09AZaz-"
    assert _header(f" {name} : a : b ") == (name, "a : b")
    assert _header("x:") == ("x", "")


# --- embed


def test_vectors_are_followed_by_their_figures(folder: Folder) -> None:
    folder.emulator.vendor = Embedding()
    done = folder.run("embed", "--model", FAST, "Grüße", "two")
    rows = [{"index": 0, "text": "Grüße", "vector": [0.625, 0.625]}, {"index": 1, "text": "two", "vector": [0.375] * 2}]
    assert [json.loads(line) for line in done.out.splitlines()] == rows
    assert done.err == "acme-fast · 2 vectors · 7 tokens · cost unknown\n"
    assert folder.run("embed", "-q", "-m", FAST, "one") == (0, '{"index":0,"text":"one","vector":[0.375,0.375]}\n', "")


class Uncounted(Embedding):
    """One that counts nothing."""

    def _embedded(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in super()._embedded(body).items() if name != "usage"}


def test_a_count_that_nobody_knows_is_a_question_mark(folder: Folder) -> None:
    folder.emulator.vendor = Uncounted()
    done = folder.run("embed", "-m", FAST, "one")
    warning, figures = done.err.splitlines()
    assert warning.startswith("  missing usage: ")
    assert figures == "acme-fast · 1 vectors · ? tokens · cost unknown"
    assert folder.run("embed", "-q", "-m", FAST, "one").err == f"{warning}\n"  # a warning is no figure


def test_texts_come_before_those_of_files_and_files_in_their_order(folder: Folder) -> None:
    folder.emulator.vendor = Embedding()
    (folder.path / "one").write_text("a\n\n \nb", "utf-8")
    (folder.path / "two").write_text("\ufeffc\r\n  d  \n", "utf-8")
    done = folder.run("embed", "-q", "-m", FAST, "-f", "two", "--file", "one", "x", " ", stdin="piped")
    assert [json.loads(line)["text"] for line in done.out.splitlines()] == ["x", " ", "c", "  d  ", "a", "b"]
    assert folder.emulator.requests[-1].json()["input"] == ["x", " ", "c", "  d  ", "a", "b"]


def test_options_of_an_embedding_are_sent(folder: Folder) -> None:
    folder.emulator.vendor = Embedding()
    assert folder.run("embed", "-q", "-m", FAST, "one").code == 0
    assert "dimensions" not in folder.emulator.requests[-1].json()
    assert folder.run("embed", "-q", "-m", FAST, "--dimensions", "1", "one").out.endswith('"vector":[0.375]}\n')
    assert "0 is not in the range x>=1" in folder.run("embed", "-m", FAST, "--dimensions", "0", "one").err
    done = folder.run("embed", "-m", FAST, "--timeout", "-1", "one")
    assert (done.code, "timeout" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        (None, 'No text. Write one: chatport embed -m TARGET "a text", or pipe lines in.'),
        (Typed("typed\n"), 'No text. Write one: chatport embed -m TARGET "a text", or pipe lines in.'),
        ("", "There is no text: all lines are empty."),
        ("\n \n", "There is no text: all lines are empty."),
    ],
    ids=["closed", "terminal", "nothing", "empty lines"],
)
def test_without_a_text_nothing_is_embedded(folder: Folder, stdin: str | Typed | None, words: str) -> None:
    done = folder.run("embed", "-m", FAST, stdin=stdin)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    (folder.path / "empty").write_text("\n", "utf-8")
    assert "There is no text: all lines are empty." in folder.run("embed", "-m", FAST, "-f", "empty", stdin=stdin).err
    assert not folder.emulator.requests


# --- explain


def test_an_explanation_is_that_of_the_client_with_each_option(folder: Folder) -> None:
    options: dict[str, Any] = {"model": FAST, "reasoning": "high", "max_tokens": 40, "temperature": 0.3, "stream": True}
    with chatport.Client(Path("named.toml")) as client:
        plain, full = str(client.explain("hello")), str(client.explain("Hi", **options))
    assert folder.run("explain") == (0, f"{plain}\n", "")
    arguments = ("--reasoning", "high", "--max-tokens", "40", "--temperature", "0.3", "--stream")
    assert folder.run("explain", "-m", FAST, *arguments, "Hi") == (0, f"{full}\n", "")
    for sent in ('"max_tokens": 40', '"temperature": 0.3', '"reasoning_effort": "high"', '"stream": true', '"Hi"'):
        assert sent in full
        assert sent not in plain
    assert not folder.emulator.requests


# --- emulate


@pytest.mark.parametrize("provider", [(), ("compatible",), ("nobody",)])
def test_a_list_of_faults_is_all_that_is_shown(folder: Folder, provider: tuple[str, ...]) -> None:
    done = folder.run("emulate", *provider, "--fault", "none", "--fault", "list")
    assert done == (0, "\n".join(fault_lines()) + "\n", "")


def test_a_provider_that_nobody_emulates_is_said(folder: Folder) -> None:
    done = folder.run("emulate", "nobody")
    assert (done.code, done.out) == (2, "")
    assert "No provider is called 'nobody'" in done.err


@pytest.mark.parametrize(
    ("option", "number", "limits"),
    [("--port", "65536", "0<=x<=65535"), ("--port", "-1", "0<=x<=65535"), ("--pace", "3600.5", "0<=x<=3600")],
)
def test_a_number_that_no_server_can_have_is_said(folder: Folder, option: str, number: str, limits: str) -> None:
    done = folder.run("emulate", "compatible", option, number)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"{re.escape(number)} is not in the range {re.escape(limits)}", done.err)


# --- doctor


def doctor(folder: Folder, *more: str) -> tuple[list[str], list[str], list[str]]:
    """Return the lines of the configuration, of the providers, and of the problems."""
    out = folder.run("doctor", "--no-search", *more).out
    configuration, _, rest = out.partition("\n\nProviders\n")
    providers, _, problems = rest.partition("\nProblems\n")
    return configuration.splitlines(), providers.splitlines(), problems.splitlines()


def test_a_configuration_in_force_is_shown(folder: Folder) -> None:
    folder.configure('[aliases]\nquick = ["acme:acme-fast", "acme:acme-large"]\nother = "acme:acme-large"\n')
    lines, providers, problems = doctor(folder)
    assert lines == [
        "Configuration",
        "  file      named.toml (named)",
        "  model     acme:acme-fast",
        "  alias     quick → acme:acme-fast, acme:acme-large",
        "  alias     other → acme:acme-large",
    ]
    place = f"{folder.emulator.base_url} (by the configuration)"
    assert f"  {'acme':<14} {'key from the configuration itself':<34} {place}" in providers
    assert problems == []


def test_without_a_file_and_a_model_it_is_said_what_to_do(folder: Folder) -> None:
    folder.patch.delenv("CHATPORT_CONFIG")
    assert doctor(folder)[0] == [
        "Configuration",
        "  file      none (chatport.toml is not here)",
        "  model     none: name one in each call, or set LLM_MODEL",
    ]
    folder.patch.setenv("LLM_MODEL", FAST)
    assert doctor(folder)[0][-1] == f"  model     {FAST}"


def line_of(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.split()[0] == name)


def test_where_the_key_comes_from_is_shown_for_each_provider(folder: Folder) -> None:
    folder.patch.setenv("OPENAI_API_KEY", "sk-canary-1234567890")
    folder.patch.delenv("GROQ_API_KEY", raising=False)
    text = '[providers.{0}]\nkind = "compatible"\nbase_url = "{1}"\n{2}\n'
    folder.configure(
        text.format("bare", "http://127.0.0.1:9", "")
        + text.format("query", "https://a.example/v1", 'query = { x = "1", key = "sk-canary-1234567890" }')
        + text.format("clear", "http://a.example/v1", 'api_key = "sk-canary-1234567890"\nallow_plain_http = true')
        + text.format("local", "http://127.0.0.1:8", 'api_key = "sk-canary-1234567890"\nallow_plain_http = true')
        + text.format("told", "https://a.example/v1", 'api_key = { command = ["false"] }')
    )
    _, lines, problems = doctor(folder)
    by_package = "https://api.{0} (by its package)"
    asked = f"  {'openai':<14} {'$OPENAI_API_KEY is set':<34} {by_package.format('openai.com/v1')}"
    assert line_of(lines, "openai") == asked
    lacking = f"  {'groq':<14} {'no key: set $GROQ_API_KEY':<34} {by_package.format('groq.com/openai/v1')}"
    assert line_of(lines, "groq") == lacking
    assert line_of(lines, "bare") == f"  {'bare':<14} {'no key needed':<34} http://127.0.0.1:9 (by the configuration)"
    assert line_of(lines, "query").startswith(f"  {'query':<14} {'key in the query (key)':<34} https://a.example/v1")
    assert line_of(lines, "clear").endswith("(by the configuration): the key goes in the clear (allow_plain_http)")
    assert line_of(lines, "local").endswith("http://127.0.0.1:8 (by the configuration)")
    assert line_of(lines, "told") == f"  {'told':<14} {'key from a command':<34} not asked"
    assert problems == []
    names = [line.split()[0] for line in lines]
    assert names == sorted(names)
    assert not [line for line in lines if "sk-canary" in line]


def test_a_provider_that_is_broken_is_a_problem_and_ends_with_one(folder: Folder) -> None:
    folder.configure('[providers.sad]\nkind = "compatible"\n')
    done = folder.run("doctor", "--no-search")
    assert done.code == 1
    head, _, problems = done.out.partition("\nProblems\n")
    assert f"\n  {'sad':<14} broken\n" in head
    (line,) = problems.splitlines()
    assert line.startswith("  sad: ")


def test_a_provider_of_which_nobody_speaks_is_no_problem(folder: Folder) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE")]:
        folder.patch.delenv(name)
    done = folder.run("doctor", "--no-search")
    assert done.code == 0
    assert (
        f"\n  {'azure':<14} {'not set up':<34} [providers.azure] needs a base_url: where is this server?\n" in done.out
    )
    assert "Problems" not in done.out


def test_a_key_is_tried_with_a_model_that_the_configuration_names(folder: Folder) -> None:
    """The default first, then those of the aliases; never one of another provider whose name begins alike."""
    from chatport.cli.doctor import _model_of
    from chatport.setup.config import load_with_files

    folder.configure('[aliases]\na = ["acmes:x", "other:one"]\nb = ["other:two", "acme:acme-large"]\n')
    settings, _ = load_with_files(None)
    assert _model_of("acme", settings) == FAST
    assert _model_of("other", settings) == "other:one"
    assert _model_of("acmes", settings) == "acmes:x"
    assert _model_of("oth", settings) is None
    path = folder.path / "named.toml"
    path.write_text(path.read_text("utf-8").replace(f'model = "{FAST}"\n', ""), "utf-8")
    settings, _ = load_with_files(None)
    assert _model_of("acme", settings) == "acme:acme-large"


def test_it_is_said_where_no_key_is_there_to_be_tried(folder: Folder) -> None:
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN"))]:
        folder.patch.delenv(name)
    (folder.path / "named.toml").write_text("", "utf-8")
    done = folder.run("doctor", "--no-search", "--online")
    assert done.code == 0
    assert done.out.endswith("\nKeys, tried with one request each\n  no provider has a key, or a table of its own\n")


def test_a_key_that_a_command_gives_is_asked_for_when_it_is_tried(folder: Folder) -> None:
    command = f'api_key = {{ command = ["printf", "{KEY}"] }}\n'
    told = table("told", folder.emulator).replace(f'api_key = "{KEY}"\n', command)
    folder.configure(told)
    done = folder.run("doctor", "--no-search", "--online")
    assert (done.code, done.out.partition("one request each\n")[2]) == (
        0,
        "  acme           the key works: it lists 2 models, and none without the key\n"
        "  told           the key works: it lists 2 models, and none without the key\n",
    )


def test_servers_are_listed_with_four_of_their_models(folder: Folder) -> None:
    names = ("a:1", "b:1", "c:1", "d:1", "e:1")
    with Emulator("ollama", models=names) as server:
        folder.patch.setenv("OLLAMA_HOST", server.base_url.removesuffix("/v1"))
        line = f"  ollama         {server.base_url}  a:1, b:1, c:1, d:1\n"
        assert line in folder.run("doctor").out.partition("\nLocal servers\n")[2]
    assert "Local servers" not in folder.run("doctor", "--no-search").out
