"""What the command line says at its edges: limits of what is read, questions to whoever sits there, keys that fail."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatport.testing import Emulator, Fault, faults

from .cli_runs import Folder, Typed, opened
from .test_cli_chat import Embedding

TOOLS = '''
import chatport


def weather(city: str) -> str:
    """Tell the weather."""
    return f"rain in {city}"


BARE = chatport.Tool("bare")
'''
TWO_CALLS = 'call: weather {"city": "Rome"}\ncall: weather {"city": "Oslo"}'
MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    (tmp_path / "rest_tools.py").write_text(TOOLS, "utf-8")
    yield from opened(tmp_path, monkeypatch, capsys)


def patient(folder: Folder, attempts: int, more: str = "") -> None:
    """Have calls tried so often, without a wait that anybody notices."""
    folder.configure(more)
    path = folder.path / "named.toml"
    retry = f"attempts = {attempts}\nfirst_seconds = 0.001\nlongest_seconds = 0.002\n"
    path.write_text(path.read_text("utf-8").replace("attempts = 1\n", retry), "utf-8")


def sparse(folder: Folder, name: str, size: int) -> str:
    """Write a file of spaces' size that takes no place on the disk."""
    with (folder.path / name).open("wb") as file:
        file.truncate(size)
    return name


# --- what is read


@pytest.mark.parametrize("stdin", [None, "", " \n\t"])
def test_a_call_without_a_message_says_how_to_write_one(folder: Folder, stdin: str | None) -> None:
    for arguments in (("chat",), ("chat", "-")):
        done = folder.run(*arguments, stdin=stdin)
        assert (done.code, done.out) == (2, "")
        assert 'No message. Write one: chatport chat "hello", or pipe it in.' in done.err
    assert not folder.emulator.requests


class Failing(io.RawIOBase):
    """An input that fails, or by which somebody stops the program."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        raise self.error


def test_an_input_that_cannot_be_read_is_said(folder: Folder) -> None:
    broken = io.TextIOWrapper(io.BufferedReader(Failing(OSError(5, "Input/output error"))))
    done = folder.run("chat", stdin=broken)
    assert (done.code, done.out) == (2, "")
    assert "Cannot read standard input: Input/output error." in done.err


def test_ctrl_c_has_an_exit_code_of_its_own(folder: Folder) -> None:
    stopped = io.TextIOWrapper(io.BufferedReader(Failing(KeyboardInterrupt())))
    done = folder.run("chat", stdin=stopped)
    assert (done.code, done.out, done.err.strip()) == (130, "", "")


def test_what_has_no_end_is_not_read_to_it(folder: Folder) -> None:
    done = folder.run("chat", "--file", sparse(folder, "huge", 64 * MIB + 1), "hi")
    assert (done.code, "The file huge has more than 64 MiB." in done.err) == (2, True)
    done = folder.run("embed", "-m", "acme:acme-fast", "--file", "huge")
    assert (done.code, "huge has more than 64 MiB." in done.err) == (2, True)
    with (folder.path / "huge").open("rb") as file:
        done = folder.run("chat", stdin=io.TextIOWrapper(file))
    assert (done.code, "Standard input has more than 64 MiB." in done.err) == (2, True)
    assert not folder.emulator.requests


def test_just_so_much_is_read(folder: Folder) -> None:
    """What is refused then is what it says."""
    sparse(folder, "full", 64 * MIB)
    for place in (("chat", "--file", "full", "hi"), ("embed", "-m", "acme:acme-fast", "--file", "full")):
        done = folder.run(*place)
        assert done.code == 2
        assert "MiB" not in done.err


def test_an_image_may_be_an_address(folder: Folder) -> None:
    done = folder.run("chat", "-q", "--image", "https://a.example/b.png", "say: seen")
    assert (done.code, done.out) == (0, "seen\n"), done.err
    content: Any = folder.sent()[-1]["content"]
    assert content[1] == {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}


def test_sounds_and_films_are_parts(folder: Folder) -> None:
    (folder.path / "a.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt \xff")
    (folder.path / "b.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00\xff")
    done = folder.run("explain", "-m", "acme:acme-fast", "hi")
    assert done.code == 0, done.err
    done = folder.run("chat", "-q", "--file", "a.wav", "say: heard")
    assert (done.code, done.out) == (0, "heard\n"), done.err
    content: Any = folder.sent()[-1]["content"]
    assert (content[1]["type"], content[1]["input_audio"]["format"]) == ("input_audio", "wav")
    done = folder.run("chat", "-q", "--file", "b.mp4", "say: seen")
    assert (done.code, done.out) == (0, "seen\n"), done.err
    content = folder.sent()[-1]["content"]
    assert content[1]["type"] == "video_url"
    assert content[1]["video_url"]["url"].startswith("data:video/mp4;base64,")


def test_a_schema_that_is_no_json_is_said(folder: Folder) -> None:
    (folder.path / "bad.json").write_text("{", "utf-8")
    done = folder.run("chat", "--schema", "bad.json", "hi")
    assert (done.code, done.out) == (2, "")
    assert "bad.json is not JSON: " in done.err
    assert not folder.emulator.requests


def test_a_tool_without_a_function_is_said(folder: Folder) -> None:
    done = folder.run("chat", "-y", "-t", "rest_tools.py:BARE", "hi")
    assert (done.code, done.out) == (2, "")
    assert "The tool 'bare' has no function that could be run." in done.err


def test_a_command_that_is_not_whole_is_said(folder: Folder) -> None:
    done = folder.run("emulate")
    assert (done.code, "Missing argument 'PROVIDER'." in done.err) == (2, True)
    models = [word for number in range(33) for word in ("-m", f"acme:m{number}")]
    done = folder.run("compare", *models, "hi")
    assert (done.code, "At most 32 models are asked at once." in done.err) == (2, True)
    assert not folder.emulator.requests


def test_strict_options_are_kept_or_nothing_is_sent(folder: Folder) -> None:
    folder.configure('[models."acme:acme-fast"]\nreasoning = false\n')
    loose = folder.run("chat", "--reasoning", "high", "say: on")
    assert (loose.code, loose.out) == (0, "on\n"), loose.err
    assert loose.err.endswith("\n  dropped reasoning: this model does not reason\n")
    before = len(folder.emulator.requests)
    strict = folder.run("chat", "--strict", "--reasoning", "high", "say: on")
    assert (strict.code, strict.out) == (2, "")
    assert "UnsupportedFeatureError: Not everything can be sent as asked: dropped reasoning" in strict.err
    assert len(folder.emulator.requests) == before


# --- questions


@pytest.mark.parametrize(
    ("typed", "asked", "said"),
    [
        ("y\nYES\n", 2, "rain in Oslo"),
        ("a\n", 1, "rain in Oslo"),
        (" Always \n", 1, "rain in Oslo"),
        ("maybe\ny\nn\n", 3, "The user said no."),
        ("y\n", 2, "The user said no."),
        ("\nno\n", 2, "The user said no."),
    ],
)
def test_a_tool_is_run_as_whoever_sits_there_says(folder: Folder, typed: str, asked: int, said: str) -> None:
    done = folder.run("chat", "-t", "rest_tools.py:weather", TWO_CALLS, stdin=Typed(typed))
    assert done.code == 0, done.err
    assert done.err.count("[y]es, [n]o, [a]lways: ") == asked
    assert done.err.count("Answer y, n or a.") == typed.count("maybe")
    assert 'Run weather({"city":"Rome"})?' in done.err.replace(": ", ":")
    results = [message["content"] for message in folder.sent() if message["role"] == "tool"]
    assert said in str(results[1])


@pytest.mark.parametrize(("typed", "left"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_conversations_are_deleted_if_whoever_sits_there_says_so(folder: Folder, typed: str, left: int) -> None:
    for word in ("one", "two"):
        assert folder.run("chat", "-q", "--log", f"say: {word}").code == 0
    done = folder.run("logs", "prune", "--keep", "0", stdin=Typed(typed))
    assert "Delete 2 conversations? [y/N]: " in done.out
    assert (done.code, "2 deleted." in done.out) == (1 if left else 0, not left)
    assert len(folder.run("logs", "list", "--json").out.splitlines()) == left


def test_of_no_log_nothing_is_deleted(folder: Folder) -> None:
    assert folder.run("logs", "prune", "--keep", "0", "--yes") == (0, "0 deleted.\n", "")


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1)])
def test_a_file_is_trusted_if_whoever_sits_there_says_so(folder: Folder, typed: str, code: int) -> None:
    text = '[providers.acme]\nkind = "compatible"\nbase_url = "https://a.example/v1"\napi_key = "sk-12345678"\n'
    (folder.path / "chatport.toml").write_text(text, "utf-8")
    done = folder.run("trust", stdin=Typed(typed))
    assert "    acme: base_url = https://a.example/v1\n" in done.out
    assert "    acme: api_key = a key\n" in done.out
    assert "sk-12345678" not in done.out + done.err
    assert "Trust it? [y/N]: " in done.out
    assert (done.code, "Trusted, until it or a patch that it names changes." in done.out) == (code, not code)


# --- what is told


def test_each_attempt_that_fails_is_told(folder: Folder) -> None:
    patient(folder, 3)
    folder.emulator.misbehave([faults.status(503)])
    done = folder.run("chat", "say: on")
    assert (done.code, done.out) == (0, "on\n"), done.err
    assert "acme:acme-fast failed (OverloadedError), next attempt in 0.0 s" in done.err
    assert " · 2 attempts" in done.err
    done = folder.run("chat", "--json", "error: 503")
    failed = [json.loads(line) for line in done.out.splitlines() if "AttemptFailed" in line]
    assert [event["error"]["error"] for event in failed] == ["OverloadedError"] * 2
    assert "503" in failed[0]["error"]["message"]
    assert "  after 3 attempts\n" in done.err


def test_one_attempt_is_not_counted(folder: Folder) -> None:
    done = folder.run("chat", "error: 503")
    assert (done.code, "attempts" in done.err) == (4, False)
    assert "attempts" not in folder.run("chat", "say: on").err


def test_what_goes_along_is_shown_by_its_kind(folder: Folder) -> None:
    assert folder.run("chat", "-q", "--log", "--image", "https://a.example/b.png", "say: seen").code == 0
    (line,) = folder.run("logs", "list", "--json").out.splitlines()
    shown = folder.run("logs", "show", json.loads(line)["id"])
    assert "user\nsay: seen\n(image)\n" in shown.out


def test_a_recording_is_told_with_its_sources(folder: Folder) -> None:
    source = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    message = {"role": "assistant", "content": "Hi", "annotations": [source]}
    body = {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    (folder.path / "reply.json").write_text(json.dumps(body), "utf-8")
    done = folder.run("decode", "--plain", "-H", "X-Request-Id: req_1 ", "reply.json")
    assert (done.code, done.out) == (0, "Hi\n"), done.err
    assert "  A: https://a.example\n" in done.err or "https://a.example" in done.err
    assert "9 in (4 cached), 2 out" in done.err
    done = folder.run("decode", "--plain", "--json", "-H", "x-request-id: req_1 ", "reply.json")
    finished = json.loads(done.out.splitlines()[-1])
    assert finished["reply"]["request_id"] == "req_1"


@pytest.mark.parametrize("header", ["retry-after", "retry after:3", ":3", "a\u00e9:1"])
def test_a_header_that_no_server_could_send_is_said(folder: Folder, header: str) -> None:
    (folder.path / "reply.json").write_text("{}", "utf-8")
    done = folder.run("decode", "-H", header, "reply.json")
    assert (done.code, "is not NAME:VALUE, such as retry-after:3." in done.err) == (2, True)


def test_a_model_that_cannot_take_a_question_is_told_beside_the_others(folder: Folder) -> None:
    folder.configure('[providers.groq]\napi_key = "k"\n')
    path = folder.path / "named.toml"
    path.write_text(f'retired_models = "raise"\n{path.read_text("utf-8")}', "utf-8")
    done = folder.run("compare", "--json", "-m", "acme:acme-fast", "-m", "groq:llama-3.3-70b-versatile", "say: on")
    fast, old = (json.loads(line) for line in done.out.splitlines())
    assert (done.code, fast["text"], old["text"]) == (0, "on", ""), done.err
    assert "ModelNotFoundError" in json.dumps(old["error"])
    assert old["seconds"] == 0


def test_a_retired_model_is_listed_with_its_successor(folder: Folder) -> None:
    with Emulator("groq", models=("llama-3.3-70b-versatile", "openai/gpt-oss-120b")) as groq:
        folder.configure(f'[providers.groq]\nbase_url = "{groq.base_url}"\napi_key = "k"\n')
        done = folder.run("models", "groq")
    old, new = done.out.splitlines()
    assert (done.code, old.split()[0], new.split()[0]) == (
        0,
        "groq:llama-3.3-70b-versatile",
        "groq:openai/gpt-oss-120b",
    )
    assert old.endswith("retired 2026-08-16, now openai/gpt-oss-120b")
    assert "retired" not in new
    assert " tokens, " in new


def test_prices_of_nothing_are_said(folder: Folder) -> None:
    done = folder.run("prices", "-p", "groq", "--needs", "video,prefill")
    assert (done.code, done.out) == (0, "")
    assert "No model with a known price is left.\n" in done.err


def test_a_window_and_a_price_that_nobody_knows_are_blank(folder: Folder) -> None:
    folder.configure('[models."acme:acme-fast"]\ntools = true\n')
    done = folder.run("prices", "-p", "perplexity")
    assert done.code == 0
    lines = done.out.splitlines()
    assert all(line.split()[1].startswith("perplexity:") for line in lines)
    assert any(" USD           tools" in line for line in lines)  # no window
    assert any(" 272K  tools" in line for line in lines)


class Counting(Embedding):
    """One that embeds, and counts nothing."""

    def _embedded(self, body: Any) -> dict[str, Any]:
        return {name: value for name, value in super()._embedded(body).items() if name != "usage"}


def test_what_is_to_be_known_of_vectors_is_told(folder: Folder) -> None:
    folder.emulator.vendor = Counting()
    done = folder.run("embed", "-m", "acme:acme-fast", "one")
    assert done.code == 0, done.err
    assert done.err.startswith("  missing usage: ")
    assert "1 vectors" in done.err


def test_a_local_server_is_found_where_the_environment_says(folder: Folder) -> None:
    with Emulator("ollama") as server:
        folder.patch.setenv("OLLAMA_HOST", server.base_url.removesuffix("/v1"))
        done = folder.run("doctor")
        _, _, found = done.out.partition("\nLocal servers\n")
        assert f"  ollama         {server.base_url}  plain:1b, " in found
        assert "none answers" not in found


def test_it_is_said_where_no_provider_is_installed(folder: Folder) -> None:
    folder.patch.setenv("CHATPORT_DISABLE_PLUGINS", "*")
    folder.patch.delenv("CHATPORT_PLUGINS", raising=False)
    done = folder.run("providers")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("No provider is installed. Install one of: chatport-provider-")


# --- keys


def test_a_key_in_a_file_is_looked_at_and_one_of_a_command_is_not(folder: Folder) -> None:
    """Reading a file asks nobody; a command may ask for a password."""
    (folder.path / "key").write_text("sk-canary-12345678", "utf-8")
    (folder.path / "key").chmod(0o600)
    table = '[providers.{0}]\nkind = "compatible"\nbase_url = "http://127.0.0.1:9"\napi_key = {{ {1} }}\n'
    command = 'command = ["touch", "asked"]'
    folder.configure(table.format("filed", 'file = "key"') + table.format("told", command))
    shown = folder.run("doctor", "--no-search").out
    assert re.search(r"^  filed +key from \S.* http://127\.0\.0\.1:9", shown, re.MULTILINE), shown
    assert re.search(r"^  told +key from a command +not asked$", shown, re.MULTILINE), shown
    assert "sk-canary" not in shown
    assert not (folder.path / "asked").exists()


def test_a_provider_that_cannot_be_opened_is_a_problem_and_ends_no_trying(folder: Folder) -> None:
    bad = '[providers.aaa]\nkind = "compatible"\nbase_url = "http://127.0.0.1:9"\napi_key = { env = "NOT_SET" }\n'
    folder.configure(bad)
    done = folder.run("doctor", "--no-search", "--online")
    tried, _, problems = done.out.rpartition("Keys, tried")[2].partition("\nProblems\n")
    assert "  acme           the key works: it lists 2 models, and none without the key\n" in tried
    assert "aaa" not in tried
    assert [line for line in problems.splitlines() if "$NOT_SET" in line and line.startswith("  aaa: ")]
    assert done.code == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.status(401), "the key is refused: "),
        (faults.status(403), "the key is known, and may not do this: "),
        (faults.status(402), "the key works, and the account is empty: "),
        (faults.status(429), "not known now, try again later: "),
        (faults.status(503), "not known now, try again later: "),
        (faults.refuse_connection(), "no answer: "),
        (faults.html_page(), "acme: We are down. [acme:*, HTTP 200]"),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_what_a_key_is_good_for_is_said(folder: Folder, fault: Fault, words: str) -> None:
    folder.emulator.misbehave([fault])
    done = folder.run("doctor", "--no-search", "--online")
    tried, _, problems = done.out.rpartition("Keys, tried")[2].partition("\nProblems\n")
    assert f"  acme           {words}" in tried, done.out
    assert f"  acme: {words}" in problems
    assert done.code == 1


def test_a_server_without_a_key_is_asked_too(folder: Folder) -> None:
    with Emulator("compatible", models=("one", "two")) as free:
        free.vendor.needs_key = False
        folder.configure(f'[providers.free]\nkind = "compatible"\nbase_url = "{free.base_url}"\n')
        done = folder.run("doctor", "--no-search", "--online")
    assert "  free           it answers, with 2 models; no key is sent\n" in done.out
