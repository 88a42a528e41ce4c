"""The command line, as a user runs it: answers on stdout, the rest on stderr, and exit codes that mean something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatport
from chatport.testing import Emulator

from .behaviour.raw_server import Connection, RawServer, head

MODEL = "deepseek:deepseek-flash"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6360000000020001e221bc33"
    "0000000049454e44ae426082"
)


class Command:
    """Runs `chatport` in a folder whose chatport.toml leads to an emulated vendor, and is named."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self.folder = folder
        self.emulator = emulator
        self._home = {"XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        table = f'[providers.deepseek]\nbase_url = "{emulator.base_url}"\napi_key = "emulated-key-1234"\n'
        (folder / "chatport.toml").write_text(f"{table}[retry]\nattempts = 1\n", "utf-8")

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        ours = ("LLM_", "CHATPORT_", "BASE_URL")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return subprocess.run(
            [sys.executable, "-c", "from chatport.cli import main; main()", *arguments],
            cwd=self.folder,
            env={**clean, "CHATPORT_CONFIG": "chatport.toml", **self._home, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Command]:
    with Emulator("deepseek", api_key="emulated-key-1234") as emulator:
        yield Command(tmp_path, emulator)


def test_chat_streams_the_answer_to_stdout_and_the_rest_to_stderr(run: Command) -> None:
    done = run("chat", "-m", MODEL, "say: good day\nthink: hmm, a greeting")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "good day\n"
    assert "hmm, a greeting" in done.stderr
    assert "out" in done.stderr
    assert "¥" in done.stderr


def test_chat_reads_stdin_after_the_message(run: Command) -> None:
    done = run("chat", "-m", MODEL, "-q", "Summarise:", stdin="say: from the pipe")
    assert done.stdout == "from the pipe\n"
    assert not done.stderr
    sent = run.emulator.requests[-1].json()["messages"][-1]["content"]
    assert sent == "Summarise:\n\nsay: from the pipe"


def test_chat_takes_the_model_from_the_environment(run: Command) -> None:
    done = run("chat", "-q", "say: yes", LLM_MODEL=MODEL)
    assert done.stdout == "yes\n"


def test_json_gives_every_event_as_a_line(run: Command) -> None:
    done = run("chat", "-m", MODEL, "--json", "say: one two")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(event["text"] for event in events if event["event"] == "TextDelta") == "one two"
    assert events[-1]["event"] == "Finished"
    assert events[-1]["reply"]["finish_reason"] == "stop"
    assert events[-1]["reply"]["usage"]["output_tokens"] > 0
    assert not done.stderr


def test_no_stream_gives_the_same_text(run: Command) -> None:
    assert run("chat", "-m", MODEL, "-q", "--no-stream", "say: whole").stdout == "whole\n"


def test_an_image_goes_along(run: Command) -> None:
    (run.folder / "dot.png").write_bytes(PIXEL)
    done = run("chat", "-m", MODEL, "-q", "--image", "dot.png", "say: a dot")
    assert done.stdout == "a dot\n"
    parts = run.emulator.requests[-1].json()["messages"][-1]["content"]
    assert parts[1]["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("chat", "-m", "nobody:x", "hi"), 2, "No provider is called 'nobody'"),
        (("chat", "-m", "deepsek:x", "hi"), 2, "Did you mean 'deepseek'?"),
        (("chat", "-m", "no-alias", "hi"), 2, "No alias is called"),
        (("chat", "hi"), 2, "No model is named"),
        (("chat", "-m", MODEL, "--image", "missing.png", "hi"), 2, "missing.png"),
        (("chat", "-m", MODEL, "--reasoning", "hihg", "hi"), 2, "reasoning is one of"),
        (("chat", "-m", MODEL, "error: 402"), 3, "QuotaExceededError"),
        (("chat", "-m", MODEL, "error: 503"), 4, "OverloadedError"),
        (("chat", "-m", "deepseek:no-such-model", "hi"), 2, "ModelNotFoundError"),
        (("models", "nobody"), 2, "No provider is called"),
        (("decode", "--provider", "nobody", "-"), 2, "No provider is called"),
        (("fly",), 2, "No such command"),
    ],
)
def test_what_fails_says_so_on_stderr(run: Command, arguments: tuple[str, ...], code: int, words: str) -> None:
    """A failure is one message on stderr and a code that tells its kind; stdout stays empty."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "emulated-key" not in done.stderr


def test_a_wrong_key_is_an_authentication_error(run: Command) -> None:
    config = run.folder / "chatport.toml"
    config.write_text(config.read_text("utf-8").replace("emulated-key-1234", "wrong-key-5678"), "utf-8")
    done = run("chat", "-m", MODEL, "hi")
    assert done.returncode == 3
    assert "AuthenticationError" in done.stderr
    assert "wrong-key-5678" not in done.stderr


def test_providers_are_listed_and_checked(run: Command) -> None:
    assert "chatport-provider-deepseek" in run("providers").stdout
    done = run("providers", "--check")
    assert done.returncode == 0, done.stdout
    assert "DeepSeek" in done.stdout


def test_a_broken_provider_is_reported_and_takes_nothing_down(run: Command) -> None:
    done = run("providers", "--check", CHATPORT_PLUGINS="sad=no_such_module:provider")
    assert done.returncode == 1
    assert "broken" in done.stdout
    assert "DeepSeek" in done.stdout


def test_a_name_that_is_taken_twice_is_reported_and_takes_nothing_down(run: Command) -> None:
    """The list names both packages; only that provider cannot be used, and says so in the same words."""
    twice = {"CHATPORT_PLUGINS": "groq=another.module:provider"}
    done = run("providers", **twice)
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith("groq"))
    assert "broken: Two plugins are called 'groq'" in line
    assert "chatport-provider-groq and another.module:provider of CHATPORT_PLUGINS" in line
    assert "chatport-provider-deepseek" in done.stdout
    assert run("models", "deepseek", **twice).returncode == 0
    failed = run("models", "groq", **twice)
    assert failed.returncode != 0
    assert "Two plugins are called 'groq'" in failed.stderr


def test_models_lists_what_the_vendor_offers(run: Command) -> None:
    done = run("models", "deepseek")
    assert done.returncode == 0, done.stderr
    assert MODEL in done.stdout


def test_explain_shows_the_request_and_sends_nothing(run: Command) -> None:
    done = run("explain", "-m", "deepseek:deepseek-chat", "--max-tokens", "5", "hello")
    assert done.returncode == 0, done.stderr
    assert '"model": "deepseek-flash"' in done.stdout
    assert "DS-0" in done.stdout
    assert "Bearer ***" in done.stdout
    assert not run.emulator.requests


def test_explain_needs_no_key(run: Command) -> None:
    (run.folder / "chatport.toml").write_text('[providers.glm]\napi_key = { env = "NOT_SET_HERE" }\n', "utf-8")
    for model in ("moonshot:kimi-k3", "glm:glm-5"):
        done = run("explain", "-m", model, "hello", MOONSHOT_API_KEY="")
        assert done.returncode == 0, done.stderr
        assert "authorization: Bearer (no key is set)" in done.stdout
    assert "API key" in run("chat", "-m", "glm:glm-5", "hello").stderr


def test_explain_takes_a_budget_of_tokens(run: Command) -> None:
    done = run("explain", "-m", "anthropic:claude-sonnet-4-5", "--reasoning", "2000", "--max-tokens", "9000", "hello")
    assert done.returncode == 0, done.stderr
    assert '"budget_tokens": 2000' in done.stdout


def test_decode_turns_recorded_bytes_into_events(run: Command) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    body = "".join(f"data: {json.dumps(data)}\n\n" for data in (chunk, end)) + "data: [DONE]\n\n"
    done = run("decode", "-", stdin=body)
    assert done.stdout == "hi\n"
    lines = run("decode", "--json", "-", stdin=body).stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["TextDelta", "Finished"]
    cut = run("decode", "-", stdin=body[:80])
    assert cut.returncode == 5
    assert "StreamInterruptedError" in cut.stderr


def test_doctor_shows_where_keys_come_from_and_never_a_key(run: Command) -> None:
    done = run("doctor", "--no-search", OPENAI_API_KEY="sk-canary-1234567890")
    assert "$OPENAI_API_KEY is set" in done.stdout
    assert "chatport.toml" in done.stdout
    for shown in (done.stdout, done.stderr):
        assert "sk-canary" not in shown
        assert "emulated-key-1234" not in shown


ONLINE = ("doctor", "--no-search", "--online")


def line_of(output: str, name: str) -> str:
    """Return what is said of a provider's key when it is tried."""
    tried = output.partition("Keys, tried")[2].partition("Problems")[0]
    return next(line for line in tried.splitlines() if line.strip().startswith(name))


def test_doctor_tries_a_key(run: Command) -> None:
    done = run(*ONLINE)
    assert done.returncode == 0, done.stderr
    assert "the key works: it lists" in line_of(done.stdout, "deepseek")
    asked = [(request.path.rpartition("/")[2], "authorization" in request.headers) for request in run.emulator.requests]
    assert asked == [("models", True), ("models", False)]
    assert "emulated-key-1234" not in done.stdout + done.stderr


def test_doctor_says_that_a_key_is_refused(run: Command) -> None:
    config = run.folder / "chatport.toml"
    config.write_text(config.read_text("utf-8").replace("emulated-key-1234", "wrong-key-5678"), "utf-8")
    done = run(*ONLINE)
    assert done.returncode == 1
    assert "the key is refused" in line_of(done.stdout, "deepseek")
    assert "deepseek: the key is refused" in done.stdout.partition("Problems")[2]
    assert "wrong-key-5678" not in done.stdout + done.stderr


def test_doctor_takes_no_public_list_for_a_proof(tmp_path: Path) -> None:
    """Where a vendor lists its models to anybody, a configured model is asked for a token, or nothing is said."""
    with Emulator("openrouter", api_key="emulated-key-1234") as emulator:
        run = Command(tmp_path, emulator)
        config = run.folder / "chatport.toml"
        table = f'[providers.openrouter]\nbase_url = "{emulator.base_url}"\napi_key = "KEY"\n'
        model = f'[aliases]\nfast = "openrouter:{emulator.vendor.models[0]}"\n'
        for key, alias, words, code in (
            ("wrong-key-5678", "", "proves nothing of the key: the vendor lists its models to anybody", 0),
            ("emulated-key-1234", model, "the key works: openrouter:", 0),
            ("wrong-key-5678", model, "the key is refused", 1),
        ):
            config.write_text(table.replace("KEY", key) + alias, "utf-8")
            done = run(*ONLINE)
            assert (words in line_of(done.stdout, "openrouter"), done.returncode) == (True, code), done.stdout
            assert key not in done.stdout + done.stderr


def test_doctor_says_that_nobody_answers(run: Command) -> None:
    run.emulator.stop()
    done = run(*ONLINE)
    assert done.returncode == 1
    assert "no answer" in line_of(done.stdout, "deepseek")


def test_doctor_says_that_it_has_no_key_to_try(run: Command) -> None:
    (run.folder / "chatport.toml").write_text("", "utf-8")
    assert "no provider has a key, or a table of its own" in run(*ONLINE).stdout


def test_doctor_tries_no_key_unasked(run: Command) -> None:
    assert "Keys, tried" not in run("doctor", "--no-search").stdout
    assert not run.emulator.requests


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("decode", "-H", "no-colon", "-"), "'no-colon' is not NAME:VALUE"),
        (("decode", "-H", ": value", "-"), "is not NAME:VALUE"),
        (("decode", "-H", "né: value", "-"), "is not NAME:VALUE"),
        (("decode", "--status", "-5", "-"), "is not in the range"),
        (("decode", "missing"), "does not exist"),
        (("decode", "."), "is a directory"),
        (("chat", "--schema", ".", "hi"), "is a directory"),
        (("chat", "--config", "missing", "hi"), "does not exist"),
        (("chat", "-m", MODEL, "--image", ".", "hi"), "Cannot read the image .: Is a directory"),
        (("emulate", "compatible", "--port", "99999"), "is not in the range"),
        (("emulate", "compatible", "--port", "-1"), "is not in the range"),
        (("emulate", "compatible", "--pace", "nan"), "nan"),
        (("emulate", "compatible", "--pace", "-1"), "is not in the range"),
    ],
)
def test_wrong_use_is_one_message(run: Command, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, stdin="x")
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said(run: Command) -> None:
    port = run.emulator.base_url.rpartition(":")[2].partition("/")[0]
    done = run("emulate", "compatible", "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: Cannot listen on port {port}: ")
    assert done.stderr.count("\n") == 1


def test_emulate_serves_until_it_is_stopped() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from chatport.cli import main; main()", "emulate", "compatible"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as twin:
        try:
            assert twin.stdout is not None
            assert twin.stdout.readline().startswith("http://127.0.0.1:")
        finally:
            twin.terminate()


def test_sources_and_pictures_are_listed_after_the_answer(run: Command) -> None:
    """On stderr, and not with `-q`: stdout is the answer alone."""
    with Emulator("openai", api_key="emulated-key-1234") as emulator:
        table = f'[providers.openai]\nbase_url = "{emulator.base_url}"\napi_key = "emulated-key-1234"\n'
        (run.folder / "chatport.toml").write_text(table, "utf-8")
        prompt = "say: so it is\ncite: https://a.example/x A page\ndraw: data:image/png;base64,iVBORw0KGgo="
        for more in ((), ("--no-stream",)):
            done = run("chat", "-m", "openai:gpt-5.6-luna", *more, prompt)
            assert (done.returncode, done.stdout) == (0, "so it is\n"), done.stderr
            assert "[1] A page — https://a.example/x" in done.stderr
            assert "image/png: " in done.stderr
        assert "a.example" not in run("chat", "-q", "-m", "openai:gpt-5.6-luna", prompt).stderr


@pytest.mark.parametrize(
    ("finish", "message", "code"),
    [
        ("unheard_of", {"content": ""}, 4),
        ("abort", {"content": "half of"}, 4),
        ("length", {"content": ""}, 5),
        ("content_filter", {"content": None}, 6),
        ("content_filter", {"content": "half of"}, 6),
        ("stop", {"content": None, "refusal": "No."}, 6),
        ("stop", {"content": ""}, 0),
        ("unheard_of", {"content": "whole"}, 0),
    ],
)
def test_an_empty_answer_that_did_not_end_in_order_is_no_success(
    run: Command, finish: str, message: dict[str, str | None], code: int
) -> None:
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}).encode()

    def answer(connection: Connection) -> None:
        while connection.request():
            connection.send(head(content_type="application/json", content_length=len(body)) + body)

    with RawServer(answer) as server:
        table = f'[providers.acme]\nkind = "compatible"\nbase_url = "{server.base_url}"\napi_key = "k-1234567"\n'
        (run.folder / "chatport.toml").write_text(f"{table}[retry]\nattempts = 1\n", "utf-8")
        for more in (("-q",), ("--no-stream", "--json")):
            assert run("chat", "-m", "acme:m", *more, "hi").returncode == code


def test_a_filter_that_refuses_the_question_has_its_exit_code(tmp_path: Path) -> None:
    with Emulator("azure", api_key="emulated-key-1234") as emulator:
        run = Command(tmp_path, emulator)
        table = f'[providers.azure]\nbase_url = "{emulator.base_url}"\napi_key = "emulated-key-1234"\n'
        (run.folder / "chatport.toml").write_text(table, "utf-8")
        done = run("chat", "-m", f"azure:{emulator.vendor.models[0]}", "refuse: nothing of that kind")
        assert (done.returncode, done.stdout) == (6, ""), done.stderr


def test_a_logged_conversation_goes_on_with_another_vendor(run: Command) -> None:
    with Emulator("openai", api_key="emulated-key-5678") as other:
        config = run.folder / "chatport.toml"
        table = f'[providers.openai]\nbase_url = "{other.base_url}"\napi_key = "emulated-key-5678"\n'
        config.write_text(config.read_text("utf-8") + table, "utf-8")
        assert run("chat", "--log", "-m", MODEL, "think: what a secret\nsay: one").returncode == 0
        done = run("chat", "-q", "--continue", "-m", "openai:gpt-4.1", "say: two")
        assert (done.returncode, done.stdout) == (0, "two\n"), done.stderr
        sent = other.requests[-1].json()["messages"]
        assert [message["content"] for message in sent] == ["think: what a secret\nsay: one", "one", "say: two"]
        assert "reasoning_content" not in sent[1]


def test_models_of_a_providers_facts_are_completed(run: Command) -> None:
    for model in ("moonshot:kimi-k3", "openai:gpt-5.6-luna"):
        done = run("completions", "fish", "--", "chat", "-m", model[:-1])
        assert model in done.stdout.splitlines(), done.stderr


def test_emulate_shows_what_can_go_wrong() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from chatport.cli import main; main()", "emulate", "--fault", "list"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "cut(at_byte=None, after_events=None, how='clean')" in done.stdout
    assert "rate_limited(retry_after=None, form='seconds')" in done.stdout


@pytest.mark.parametrize("fault", ["stumble", "status(many)", "cut(after_events=1"])
def test_emulate_refuses_a_fault_that_cannot_be(fault: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from chatport.cli import main; main()", "emulate", "compatible", "--fault", fault],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "fault" in done.stderr
    assert "Traceback" not in done.stderr


def test_emulate_plays_faults_and_logs_what_came(tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    arguments = ["emulate", "compatible", "--fault", "status(503)", "--fault", "none", "--repeat", "--log", str(log)]
    with subprocess.Popen(
        [sys.executable, "-c", "from chatport.cli import main; main()", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as twin:  # fmt: skip
        try:
            assert twin.stdout is not None
            table = {"kind": "compatible", "base_url": twin.stdout.readline().strip(), "api_key": "sk-canary-123456"}
            with chatport.Client({"providers": {"x": table}}) as client:
                for _ in range(2):
                    reply = client.chat("say: there", model="x:emulated-model")
                    assert [attempt.status for attempt in reply.attempts] == [503, 200]
        finally:
            twin.terminate()
    lines = log.read_text("utf-8").splitlines()
    assert [line.partition("status=")[2] for line in lines] == ['503 fault="status(503)"', "200"] * 2
    assert "sk-canary" not in log.read_text("utf-8")
    assert "there" not in log.read_text("utf-8")
