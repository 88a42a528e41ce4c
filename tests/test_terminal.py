"""What the command line prints: no vendor, plugin or server directs the terminal, and no output is lost in silence."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest

import chatport.cli
from chatport.basics.display import clean_json
from chatport.cli.terminal import clear_status, show_status
from chatport.testing import Emulator, Script, VendorEmulator

HOSTILE = "ok\x1b[2J\x1b]52;c;cm0gfg==\x07\x9b31m\x7f\b\b\r\u202e\u2066 👩‍👧 שלום\nforged"
CLI = Path(chatport.cli.__file__).parent
REFUSED = 6  # as the hostile vendor does, beside whatever else it says


def is_fit(text: str) -> bool:
    """Whether no character of a text directs a terminal."""
    directing = ("Cc", "Cs")
    return not any((category(c) in directing and c not in "\n\t") or c in "\u202e\u2066" for c in text)


# --- one way out


def test_nothing_prints_but_through_the_terminals_file() -> None:
    """No command calls what prints, in click or in Python, nor touches stdout or stderr but to ask what they are."""
    printing = {"echo", "secho", "style", "echo_via_pager", "print", "prompt", "confirm", "progressbar", "show"}
    for path in CLI.glob("*.py"):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", None))
                ours = name == "show" and getattr(getattr(node.func, "value", None), "id", None) == "printer"
                assert name not in printing or ours, f"{path.name}:{node.lineno} prints by itself"
            if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr", "__stdout__", "__stderr__"):
                asked = ast.get_source_segment(path.read_text("utf-8"), node)
                assert asked in ("sys.stdout", "sys.stderr"), path.name
            if isinstance(node, ast.Attribute) and node.attr in ("write", "writelines", "buffer"):
                where = ast.unparse(node.value)
                assert where in ("sys.stdin",), f"{path.name}:{node.lineno} writes by itself"


# --- hostile words in every command


class HostileVendor(VendorEmulator):
    """A vendor whose every word directs a terminal."""

    models = ("m", HOSTILE)

    def script(self, body: Mapping[str, Any]) -> Script:
        calls = ((HOSTILE, json.dumps({HOSTILE: 1}, ensure_ascii=False)),) if "call" in str(body["messages"]) else ()
        return Script(text=HOSTILE, calls=calls, finish=HOSTILE)

    def message(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().message(body, script), "reasoning_content": HOSTILE, "refusal": HOSTILE}

    def deltas(self, body: Mapping[str, Any], script: Script) -> Iterator[dict[str, Any]]:
        """Give the text one character at a time: every sequence is cut everywhere."""
        yield from ({"reasoning_content": character} for character in HOSTILE)
        yield from ({"content": character} for character in HOSTILE)
        yield {"refusal": HOSTILE}
        for number, (name, arguments) in enumerate(script.calls):
            yield from self.call_deltas(number, name, arguments)

    def chunk(self, body: Mapping[str, Any], choices: Sequence[Any], **more: Any) -> dict[str, Any]:
        return {**super().chunk(body, choices, **more), "model": HOSTILE}

    def completion(self, body: Mapping[str, Any], script: Script) -> dict[str, Any]:
        return {**super().completion(body, script), "model": HOSTILE}

    def error_body(self, status: int, message: str, **details: Any) -> Any:
        return {"error": {"message": HOSTILE, "type": HOSTILE, "code": HOSTILE}}


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Serve the hostile vendor, and stand in a folder whose configuration leads there."""
    emulator = Emulator("compatible")
    emulator.vendor = HostileVendor()
    for name in [name for name in os.environ if name.startswith(("LLM_", "CHATPORT_", "BASE_URL"))]:
        monkeypatch.delenv(name)
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with emulator:
        table = f'[providers.x]\nkind = "compatible"\nbase_url = "{emulator.base_url}"\napi_key = "emulated-key-1234"\n'
        (tmp_path / "named.toml").write_text(f"{table}[retry]\nattempts = 1\n", "utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.stdin", None)
        yield emulator


CHAT = ("chat", "--config", "named.toml", "-m", "x:m")
COMMANDS = {
    "stream": (*CHAT, "hi"),
    "stream with calls": (*CHAT, "call"),
    "whole": (*CHAT, "--no-stream", "call"),
    "events": (*CHAT, "--json", "call"),
    "whole as an event": (*CHAT, "--json", "--no-stream", "call"),
    "error": (*CHAT, "error: 500"),
    "unknown model": ("chat", "--config", "named.toml", "-m", f"x:{HOSTILE}2", "hi"),
    "no such provider": ("chat", "--config", "named.toml", "-m", f"{HOSTILE}:m", "hi"),
    "no such image": (*CHAT, "--image", HOSTILE, "hi"),
    "no such file of a chat": (*CHAT, "--file", HOSTILE, "hi"),
    "no such tool": (*CHAT, "--yes", "--tool", f"{HOSTILE}:x", "hi"),
    "no such schema": (*CHAT, "--schema", f"{HOSTILE}.json", "hi"),
    "embed": ("embed", "--config", "named.toml", "-m", f"x:{HOSTILE}2", "hi"),
    "models": ("models", "--config", "named.toml", "x"),
    "models as JSON": ("models", "--config", "named.toml", "--json", "x"),
    "models of nobody": ("models", "--config", "named.toml", HOSTILE),
    "explain": ("explain", "--config", "named.toml", "-m", "x:m", HOSTILE),
    "compare": ("compare", "--config", "named.toml", "-m", "x:m", "-m", f"x:{HOSTILE}2", "call"),
    "compare with nobody": ("compare", "--config", "named.toml", "-m", f"{HOSTILE}:m", "hi"),
    "compare, page": ("compare", "-m", "x:m", "--html", f"{HOSTILE}/page.html", "hi"),
    "prices of nobody": ("prices", "--config", "named.toml", "-p", HOSTILE),
    "prices by nothing": ("prices", "--config", "named.toml", "--needs", HOSTILE),
    "prices at no rate": ("prices", "--config", "named.toml", "--rate", HOSTILE),
    "emulate": ("emulate", HOSTILE),
    "decode of nobody": ("decode", "-p", HOSTILE, "named.toml"),
    "no such command": (HOSTILE,),
    "no such option": ("chat", f"--{HOSTILE}"),
    "no such file": ("decode", HOSTILE),
    "new provider": ("new-provider", HOSTILE, "--base-url", "https://x.example"),
    "new provider, address": ("new-provider", "acme", "--base-url", f"https://{HOSTILE}"),
    "new provider, folder": ("new-provider", "acme", "--base-url", "https://x.example", "--folder", HOSTILE),
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_no_command_lets_it_through(
    arguments: tuple[str, ...], vendor: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        chatport.cli.main(list(arguments))
    shown = capfd.readouterr()
    assert is_fit(shown.out), shown.out
    assert is_fit(shown.err), shown.err
    if arguments != COMMANDS["new provider, address"]:  # of which nothing is shown: it may hold a key
        assert "ok" in shown.out + shown.err  # it was there
    assert "Traceback" not in shown.err
    if "--json" in arguments:
        assert HOSTILE in [
            value
            for line in shown.out.splitlines()
            for event in [json.loads(line)]
            for value in (event.get("id"), (event.get("reply") or {}).get("text"))
        ]


def test_a_log_lets_nothing_through(vendor: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    logged = ("logs list", "logs show", "logs list --json", "logs show --json", f"logs show {HOSTILE}")
    for arguments in ([*CHAT, "--log", f"call {HOSTILE}"], *(line.split(" ", 2) for line in logged)):
        with pytest.raises(SystemExit):
            chatport.cli.main(arguments)
        shown = capfd.readouterr()
        assert is_fit(shown.out + shown.err)
        assert "ok" in shown.out + shown.err
    with pytest.raises(SystemExit):
        chatport.cli.main(["logs", "search", HOSTILE])
    found = capfd.readouterr().out
    assert is_fit(found)
    assert len(found.splitlines()) == 1


def test_a_list_of_models_has_no_forged_line(vendor: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chatport.cli.main(["models", "--config", "named.toml", "x"])
    assert len(capfd.readouterr().out.splitlines()) == 2


def test_decoded_words_and_warnings_are_fit(vendor: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    call = {"id": "1", "function": {"name": HOSTILE, "arguments": HOSTILE}}
    message = {"content": HOSTILE, "reasoning_content": HOSTILE, "refusal": HOSTILE, "tool_calls": [call]}
    body = {"model": HOSTILE, "choices": [{"message": message, "finish_reason": HOSTILE}]}
    Path("body.json").write_text(json.dumps(body), "utf-8")
    Path("error.json").write_text(json.dumps({"error": {"message": HOSTILE, "code": HOSTILE}}), "utf-8")
    for arguments in (["body.json"], ["--json", "body.json"], ["error.json"], ["--status", "400", "error.json"]):
        with pytest.raises(SystemExit):
            chatport.cli.main(["decode", "--plain", *arguments])
        shown = capfd.readouterr()
        assert is_fit(shown.out + shown.err)
        assert "ok" in shown.out + shown.err


def test_plugins_and_configuration_are_fit(
    vendor: Emulator, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken plugin's words, names and paths in the configuration, what a search finds."""
    Path("sad.py").write_text(f"raise RuntimeError({HOSTILE!r})", "utf-8")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.setenv("CHATPORT_PLUGINS", "sad=sad:provider")
    table = clean_json(json.dumps(HOSTILE, ensure_ascii=False))  # TOML's escapes are JSON's
    Path("names.toml").write_text(
        f"model = {table}\n[aliases]\n{table} = [{table}]\n[providers.{table}]\nkind = 'compatible'\n"
        f'base_url = "http://127.0.0.1:9"\n',
        "utf-8",
    )
    for arguments in (
        ["providers", "--check"],
        ["doctor", "--no-search"],
        ["doctor", "--no-search", "--config", "names.toml"],
    ):
        with pytest.raises(SystemExit):
            chatport.cli.main(arguments)
        shown = capfd.readouterr()
        assert is_fit(shown.out + shown.err)
        assert "\nforged" not in shown.out + shown.err
        assert "ok" in shown.out + shown.err


@pytest.mark.parametrize("more", [(), ("--no-stream",)])
def test_raw_is_the_answer_as_it_came(
    more: tuple[str, ...], vendor: Emulator, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """On stdout only: what goes to stderr is fit all the same."""
    with pytest.raises(SystemExit):
        chatport.cli.main([*CHAT, "--raw", *more, "hi"])
    shown = capfdbinary.readouterr()
    assert shown.out == f"{HOSTILE}\n".encode()
    assert is_fit(shown.err.decode())


# --- what cannot be written, and what cannot be read


def run(*arguments: str, stdin: Any = subprocess.DEVNULL, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from chatport.cli import main; main()", *arguments],
        stdin=stdin if not isinstance(stdin, bytes) else None,
        input=stdin if isinstance(stdin, bytes) else None,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        **options,
    )


WRITING = {
    "stream": (*CHAT, "say"),
    "raw": (*CHAT, "--raw", "say"),
    "whole": (*CHAT, "--no-stream", "say"),
    "whole, raw": (*CHAT, "--no-stream", "--raw", "say"),
    "events": (*CHAT, "--json", "say"),
    "models": ("models", "--config", "named.toml", "x"),
    "explain": ("explain", "--config", "named.toml", "-m", "x:m"),
    "compare": ("compare", "--config", "named.toml", "-m", "x:m", "say"),
    "compare as JSON": ("compare", "--config", "named.toml", "-m", "x:m", "--json", "say"),
    "prices": ("prices", "--config", "named.toml", "-p", "deepseek"),
    "providers": ("providers",),
    "doctor": ("doctor", "--no-search"),
    "decode": ("decode", "body.sse"),
    "emulate": ("emulate", "compatible"),
    "new-provider": ("new-provider", "acme", "--base-url", "https://x.example"),
    "completions": ("completions", "bash"),
    "help": ("--help",),
    "help of a command": ("chat", "--help"),
    "version": ("--version",),
}
BODY = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture
def folder(vendor: Emulator) -> Path:
    Path("body.sse").write_bytes(BODY)
    return Path.cwd()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full disk to write to")
@pytest.mark.parametrize("arguments", WRITING.values(), ids=WRITING)
def test_a_full_disk_is_said(arguments: tuple[str, ...], folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*arguments, stdout=full)
    assert done.returncode == 1, done.stderr
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("arguments", WRITING.values(), ids=WRITING)
def test_a_reader_that_has_left_ends_it_quietly(arguments: tuple[str, ...], folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(*arguments, stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert b"roken" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="file descriptors are closed as POSIX has them")
def test_without_stdout_nothing_is_asked(folder: Path, vendor: Emulator) -> None:
    done = run(*CHAT, "say", preexec_fn=lambda: os.close(1))
    assert done.returncode == 1
    assert b"Standard output is closed" in done.stderr
    assert not vendor.requests


@pytest.mark.skipif(os.name != "posix", reason="file descriptors are closed as POSIX has them")
@pytest.mark.parametrize("closed", [0, 2])
def test_without_stdin_or_stderr_the_answer_comes(closed: int, folder: Path) -> None:
    done = run(*CHAT, "--raw", "hi", stdout=subprocess.PIPE, preexec_fn=lambda: os.close(closed))
    assert (done.returncode, done.stdout) == (REFUSED, f"{HOSTILE}\n".encode())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full disk to write to")
def test_what_cannot_be_said_on_stderr_stops_no_answer(folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from chatport.cli import main; main()", *CHAT, "--raw", "hi"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stdout) == (REFUSED, f"{HOSTILE}\n".encode())


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"caf\xe9", b"text\0more", b"\xff\xfeh\0i\0"])
def test_stdin_that_is_no_text_is_said(data: bytes, folder: Path, vendor: Emulator) -> None:
    for arguments in ((*CHAT, "Summarise:"), CHAT, (*CHAT, "-")):
        done = run(*arguments, stdin=data, stdout=subprocess.PIPE)
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"Standard input is not UTF-8 text" in done.stderr
        assert b"Traceback" not in done.stderr
    assert not vendor.requests


def test_stdin_is_utf8_whatever_the_locale(folder: Path, vendor: Emulator) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = run(*CHAT, "-q", stdin="\ufeffhé 😀".encode(), stdout=subprocess.PIPE, env=environment)
    assert done.returncode == REFUSED, done.stderr
    assert vendor.requests[-1].json()["messages"][-1]["content"] == "hé 😀"


@pytest.mark.parametrize("arguments", [CHAT, ("decode", "-"), ("decode",)])
def test_stdin_that_cannot_be_read_is_said(arguments: tuple[str, ...], folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        done = run(*arguments, stdin=directory, stdout=subprocess.PIPE)
    finally:
        os.close(directory)
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_terminal_without_unicode_shows_escapes(encoding: str, more: tuple[str, ...], folder: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = run(*CHAT, *more, "call", stdout=subprocess.PIPE, env=environment)
    assert done.returncode == REFUSED, done.stderr
    if more:
        last = json.loads(done.stdout.decode(encoding).splitlines()[-1])
        assert last["reply"]["text"] == HOSTILE
    else:
        assert b"\\U0001f469" in done.stdout


def test_a_line_of_waiting_shows_no_sequence_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    show_status("asking \x1b[2J")
    clear_status()
    assert "\x1b[2J" not in capsys.readouterr().err


# --- a terminal whose user wants no colours


def seen_on_a_terminal(*arguments: str, **environment: str) -> bytes:
    """Return what a command writes on a terminal, which is no pipe."""
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from chatport.cli import main; main()", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={**os.environ, **environment}
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so at the end
                piece = b""
            if not piece:
                break
            seen += piece
        process.wait(60)
    os.close(ours)
    return seen


@pytest.mark.skipif(os.name != "posix", reason="terminals are as POSIX has them")
def test_no_color_is_obeyed() -> None:
    """https://no-color.org: a value that is not empty means none."""
    missing = ("models", "no-such-provider")
    assert b"\x1b[31m" in seen_on_a_terminal(*missing, NO_COLOR="")
    plain = seen_on_a_terminal(*missing, NO_COLOR="1")
    assert not re.search(rb"\x1b\[[0-9;]*m", plain)
    assert b"No provider is called" in plain


@pytest.mark.skipif(os.name != "posix", reason="file descriptors are closed as POSIX has them")
def test_nobody_is_asked_where_stdin_is_closed(folder: Path) -> None:
    (folder / "chatport.toml").write_text('[providers.x]\nkind = "compatible"\nbase_url = "https://x.example"\n')
    done = run("trust", "chatport.toml", stdout=subprocess.PIPE, preexec_fn=lambda: os.close(0))
    assert done.returncode == 1
    assert b"there is nobody to ask" in done.stderr
    assert b"Traceback" not in done.stderr
