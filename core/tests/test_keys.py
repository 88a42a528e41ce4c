"""Keys by reference: from the environment, a file, a command, the keyring; and keys that cannot be meant."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest

import chatport
from chatport import Provider
from chatport.basics.secret import Secret
from chatport.errors import ConfigurationError
from chatport.setup import keys
from chatport.setup.config import load_config
from chatport.setup.origins import check_key, is_placeholder
from chatport.setup.vendors import Vendors
from chatport.testing import Emulator

BASE = "https://llm.acme.example/v1"
KEY = "sk-kept-by-reference"
WRITTEN = "'sk-kept-' + 'by-reference'"
"""The key as an expression, for commands that write it: so it is in what they write and not among their words."""
ARGUMENT = "a-token-among-the-words"


def vendors_of(api_key: Any, *, base_url: str = BASE, monotonic: Callable[[], float] = time.monotonic) -> Vendors:
    table = {"kind": "compatible", "base_url": base_url, "api_key": api_key}
    return Vendors(
        load_config({"providers": {"x": table}}, environment={}), environment={"A_KEY": KEY}, monotonic=monotonic
    )


def key_of(api_key: Any) -> str:
    key = vendors_of(api_key).provider("x").key
    assert key is not None
    return key.reveal()


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def failing(api_key: Any) -> str:
    """Return the text of the refusal; no traceback shows the key, with the locals of our frames, nor has a cause."""
    with pytest.raises(ConfigurationError) as caught:
        vendors_of(api_key).provider("x")
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = "".join(frames.format())
    own = [frame for frame in frames.stack if frame.filename != __file__]
    assert KEY not in "".join(str(frame.locals) for frame in own) + str(caught.value)
    assert caught.value.__cause__ is None
    assert "During handling" not in shown
    assert ARGUMENT not in str(caught.value)
    return str(caught.value)


# --- a command


def test_a_command_gives_the_key() -> None:
    """What it writes is the key, without the blanks and the line break around it."""
    assert key_of({"command": python(f"print('  {KEY} ')")}) == KEY


def test_arguments_reach_the_command_as_they_are() -> None:
    """No shell: blanks, quotes, variables and pipes have no meaning."""
    words = ["a b", "$HOME", "'q'", ";|&", "*"]
    program = "import sys; print('-'.join(word.encode().hex() for word in sys.argv[1:]))"
    assert key_of({"command": python(program, *words)}) == "-".join(word.encode().hex() for word in words)


def test_a_command_as_a_text_is_refused_with_advice() -> None:
    text = failing({"command": "pass show acme"})
    assert "api_key.command is a list of words, not a text" in text
    assert '["pass", "show", "acme"]' in text
    assert "No shell" in text


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (f"import sys; print({WRITTEN}); print({WRITTEN}, file=sys.stderr); sys.exit(3)", "failed with exit status 3"),
        ("pass", "wrote nothing"),
        ("print(' ')", "wrote nothing"),
        (f"print({WRITTEN}); print('user: me')", "wrote 2 lines, and a key is one"),
    ],
)
def test_a_command_that_fails_is_named_and_nothing_more(program: str, words: str) -> None:
    """Neither its arguments nor what it wrote is shown: either may hold the key."""
    text = failing({"command": python(program, ARGUMENT)})
    assert f"The command {sys.executable!r}, which gives the API key of x, {words}." in text
    assert "Run it by hand" in text


def test_a_command_that_writes_no_text() -> None:
    program = f"import sys; sys.stdout.buffer.write(({WRITTEN}).encode() + bytes([255]))"
    assert "non-ASCII character" in failing({"command": python(program)})


def test_a_command_that_does_not_exist() -> None:
    assert "'no-such-command-here', which gives the API key of x, cannot be run: No such file" in failing(
        {"command": ["no-such-command-here", ARGUMENT]}
    )


def test_a_command_cannot_read_what_is_typed(capfd: pytest.CaptureFixture[str]) -> None:
    """It would wait for a person who was asked nothing, or take what was meant for the program."""
    theirs, ours = os.pipe()
    kept = os.dup(0)
    os.dup2(theirs, 0)
    try:
        os.write(ours, b"sk-typed\n")
        os.close(ours)
        text = failing({"command": python("import sys; print(sys.stdin.readline(), end='')")})
    finally:
        os.dup2(kept, 0)
        os.close(theirs)
        os.close(kept)
    assert "wrote nothing" in text


def test_a_command_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 30 seconds (less here), and what it had written by then is not shown."""
    assert keys._COMMAND_SECONDS == 30
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 0.3)
    program = f"import time; print({WRITTEN}, flush=True); time.sleep(60)"
    began = time.monotonic()
    assert "did not end within 0.3 s" in failing({"command": python(program, ARGUMENT)})
    assert time.monotonic() - began < 20


def test_a_command_that_writes_without_end_is_stopped() -> None:
    program = f"import sys\nwhile True: sys.stdout.write({WRITTEN} * 1000)"
    assert "wrote too much: there are more than 64 KiB" in failing({"command": python(program)})


@pytest.mark.skipif(os.name != "posix", reason="a shell")
def test_a_command_that_leaves_a_child_which_holds_its_output_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child keeps a thread of ours, and not the call."""
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 0.3)
    began = time.monotonic()
    assert "did not end within 0.3 s" in failing({"command": ["/bin/sh", "-c", "sleep 6 & echo sk-of-another"]})
    assert time.monotonic() - began < 5


def test_a_command_that_closes_its_output_and_goes_on_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_COMMAND_SECONDS", 0.5)
    program = f"import os, time; os.write(1, ({WRITTEN}).encode()); os.close(1); time.sleep(60)"
    assert "did not end within 0.5 s" in failing({"command": python(program)})


def test_words_that_this_system_cannot_write_are_told() -> None:
    assert "cannot be run: its words are no text" in failing({"command": [sys.executable, "\ud800"]})


def test_a_command_is_not_fed_from_our_stdin_and_writes_nothing_to_our_stderr(
    capfd: pytest.CaptureFixture[str],
) -> None:
    program = f"import sys; print('{KEY}', file=sys.stderr); print(len(sys.stdin.read()) or 'empty')"
    assert key_of({"command": python(program)}) == "empty"
    assert capfd.readouterr() == ("", "")


def counting(folder: Path) -> list[str]:
    """Return a command that gives another key each time it is run."""
    program = (
        f"import os; name = {str(folder / 'runs')!r}; "
        "file = open(name, 'a'); file.write('x'); file.close(); print('key-number', os.path.getsize(name), sep='-')"
    )
    return python(program)


def runs(folder: Path) -> int:
    path = folder / "runs"
    return path.stat().st_size if path.exists() else 0


def test_a_command_is_run_at_the_first_use_and_once(tmp_path: Path) -> None:
    vendors = vendors_of({"command": counting(tmp_path)})
    assert not vendors.is_ready("x")
    assert runs(tmp_path) == 0
    assert vendors.provider("x") is vendors.provider("x")
    assert runs(tmp_path) == 1
    assert vendors.is_ready("x")


def test_calls_that_begin_together_run_one_command(tmp_path: Path) -> None:
    vendors = vendors_of({"command": counting(tmp_path)})
    together = threading.Barrier(4)

    def use() -> Any:
        together.wait()
        return vendors.provider("x")

    with ThreadPoolExecutor(4) as threads:
        opened = {
            id(threads_port) for threads_port in [future.result() for future in [threads.submit(use) for _ in range(4)]]
        }
    assert len(opened) == 1
    assert runs(tmp_path) == 1


def test_a_command_is_run_again_when_its_key_is_old(tmp_path: Path) -> None:
    """`refresh_seconds` after the last run the provider is no longer ready, and the next use reads the key anew."""
    now = [1000.0]
    reference = {"command": counting(tmp_path), "refresh_seconds": 3600}
    vendors = vendors_of(reference, monotonic=lambda: now[0])
    first = vendors.provider("x")
    now[0] += 3599
    assert vendors.is_ready("x")
    assert vendors.provider("x") is first
    now[0] += 1
    assert not vendors.is_ready("x")
    second = vendors.provider("x")
    assert (first.key, second.key) == (Secret("key-number-1"), Secret("key-number-2"))
    assert second.plan is first.plan
    assert vendors.is_ready("x")


@pytest.mark.slow
def test_a_command_that_fails_is_tried_again_by_the_next_call(tmp_path: Path) -> None:
    """A locked password store may be open the next time."""
    flag = tmp_path / "open"
    vendors = vendors_of({"command": python(f"print(open({str(flag)!r}).read())")})
    with pytest.raises(ConfigurationError, match="exit status 1"):
        vendors.provider("x")
    flag.write_text(KEY)
    assert vendors.provider("x").key == Secret(KEY)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_event_loop_goes_on_while_a_command_runs(backend: str, tmp_path: Path) -> None:
    """The command waits for a file that only the running loop writes."""
    program = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)\nprint({KEY!r})"

    async def run() -> None:
        with Emulator("compatible", api_key=KEY) as emulator:
            config = emulator.config(model="compatible:emulated-model")
            config["providers"]["compatible"]["api_key"] = {"command": python(program)}
            async with chatport.AsyncClient(config) as client, anyio.create_task_group() as group:

                async def ask() -> None:
                    assert (await client.chat("say: hello")).text == "hello"

                async def look() -> None:
                    assert await client.models("compatible")

                group.start_soon(ask)
                group.start_soon(look)
                await anyio.sleep(0.05)
                (tmp_path / "go").touch()

    anyio.run(run, backend=backend)


def test_the_synchronous_client_takes_a_command_too() -> None:
    with Emulator("compatible", api_key=KEY) as emulator:
        config = emulator.config(model="compatible:emulated-model")
        config["providers"]["compatible"]["api_key"] = {"command": python(f"print({KEY!r})")}
        with chatport.Client(config) as client:
            assert client.chat("say: hello").text == "hello"


# --- a file


needs_posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder that everybody may enter, as those above it are made to be for the test."""
    closed = [(folder, folder.stat().st_mode) for folder in (tmp_path, *tmp_path.parents)]
    changed = [(folder, mode) for folder, mode in closed if not mode & 0o001]
    for folder, mode in changed:
        folder.chmod(mode | 0o001)
    yield tmp_path
    for folder, mode in changed:
        folder.chmod(mode)


@needs_posix
def test_a_file_that_everybody_can_read_gives_a_warning(open_folder: Path) -> None:
    path = open_folder / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o644)
    with pytest.warns(RuntimeWarning, match=r"Everybody .* can read the API key of x in .*key\. Close it: chmod 600"):
        assert key_of({"file": str(path)}) == KEY


@needs_posix
def test_a_file_that_nobody_else_can_reach_gives_none(open_folder: Path) -> None:
    """It is closed itself, or a folder above it is."""
    path = open_folder / "key"
    path.write_text(KEY)
    path.chmod(0o640)
    assert key_of({"file": str(path)}) == KEY
    path.chmod(0o644)
    open_folder.chmod(0o700)
    assert key_of({"file": str(path)}) == KEY


@needs_posix
def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer would be waited for for ever, a device without an end read for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    devices = (Path("/dev/zero"), Path("/dev/tty"), Path("/dev/null"))
    for path in (tmp_path / "pipe", tmp_path / "link", tmp_path, *devices):
        began = time.monotonic()
        text = failing({"file": str(path)})
        assert f"from {path}: it is a folder, a pipe or a device, not a file." in text or "No such" in text
        assert time.monotonic() - began < 5


@needs_posix
def test_a_file_that_turns_into_a_pipe_between_looking_and_opening_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = tmp_path / "key", os.open
    path.write_text(KEY)

    def swapped(name: Any, flags: int, *rest: Any) -> int:
        if Path(name) == path:
            path.unlink()
            os.mkfifo(path)
        return opened(name, flags, *rest)

    monkeypatch.setattr(os, "open", swapped)
    assert "not a file" in failing({"file": str(path)})


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(" " * (64 * 1024 - len(KEY)) + KEY)
    path.chmod(0o600)
    assert key_of({"file": str(path)}) == KEY
    path.write_text(KEY * 10_000)
    assert "there are more than 64 KiB, and a key is short." in failing({"file": str(path)})


def test_a_file_whose_reading_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file server that is gone."""
    assert keys._READ_SECONDS == 30
    over = threading.Event()
    monkeypatch.setattr(keys, "_READ_SECONDS", 0.05)
    monkeypatch.setattr(keys, "_read_file", lambda path: over.wait(30))
    assert "it could not be read within 0.05 s." in failing({"file": str(tmp_path / "key")})
    over.set()


def test_a_home_folder_that_nobody_knows_is_told() -> None:
    assert "nobody knows whose home folder that is" in failing({"file": "~no-such-user-here/key"})


def test_a_file_that_cannot_be_read_says_which(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(KEY.encode() + b"\xff")
    assert "bytes: it is not a text." in failing({"file": str(tmp_path / "bytes")})
    assert "No such file or directory." in failing({"file": str(tmp_path / "nowhere")})
    (tmp_path / "lines").write_text(f"{KEY}\n{KEY}\n")
    assert "a line break" in failing({"file": str(tmp_path / "lines")})


# --- the environment


def test_a_variable_gives_the_key() -> None:
    assert key_of({"env": "A_KEY"}) == KEY
    assert "is to come from $NO_KEY, which is not set" in failing({"env": "NO_KEY"})


@pytest.mark.parametrize("name", [KEY, "gsk_a1b2c3d4e5f6g7h8i9j0", "$A_KEY", "A KEY", "A\nKEY"])
def test_a_key_in_the_place_of_a_variables_name_is_not_shown(name: str) -> None:
    """The commonest slip, and the usual message would print the key."""
    text = failing({"env": name})
    assert "is the name of an environment variable" in text
    assert name not in text


# --- the keyring


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Put a keyring with one entry in the place of the package, which needs a desktop."""
    module: Any = ModuleType("keyring")
    entries = {("acme", "me"): f" {KEY} "}
    module.get_password = lambda service, user: entries.get((service, user))
    monkeypatch.setitem(sys.modules, "keyring", module)
    return module  # type: ignore[no-any-return]  # it is a module


def test_the_keyring_gives_the_key(keyring: ModuleType) -> None:
    """It counts as not ready, since its owner may be asked for a password first."""
    vendors = vendors_of({"keyring": "acme", "user": "me"})
    assert not vendors.is_ready("x")
    assert vendors.provider("x").key == Secret(KEY)
    assert vendors.is_ready("x")


def test_a_keyring_without_the_entry(keyring: ModuleType) -> None:
    text = failing({"keyring": "acme", "user": "you"})
    assert "from the keyring, service 'acme', user 'you': there is no such entry" in text


def test_a_keyring_that_refuses_is_not_quoted(keyring: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(service: str, user: str) -> str:
        raise PermissionError(f"locked, and the key is {KEY}")

    monkeypatch.setattr(keyring, "get_password", refuse)
    assert "the keyring refuses (PermissionError)" in failing({"keyring": "acme", "user": "me"})


def test_a_keyring_that_does_not_answer_is_given_up(keyring: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for its owner, who is not there."""
    over = threading.Event()
    monkeypatch.setattr(keys, "_READ_SECONDS", 0.05)
    monkeypatch.setattr(keyring, "get_password", lambda service, user: over.wait(30))
    assert "the keyring did not answer within 0.05 s" in failing({"keyring": "acme", "user": "me"})
    over.set()


def test_a_keyring_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "pip install 'chatport-core[keyring]'" in failing({"keyring": "acme", "user": "me"})


# --- where no thread can be begun, and where what is asked is not over in time


def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


NO_THREAD = "no thread for readings of keys: can't start new thread"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"keyring": "acme", "user": "me"}, f"from the keyring, service 'acme', user 'me': {NO_THREAD}."),
        (
            lambda: KEY,
            f"The function that gives the API key of x is not waited for: {NO_THREAD}. Call it by hand to see why.",
        ),
    ],
    ids=["keyring", "function"],
)
def test_a_key_for_which_there_is_no_thread_is_an_error_of_the_settings(
    reference: Any, words: str, keyring: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_threads(monkeypatch)
    assert words in failing(reference)


def test_a_client_without_a_thread_to_wait_in_says_what_it_could_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator("compatible")
    tables = emulator.config()
    tables["providers"]["compatible"]["api_key"] = lambda: KEY
    with chatport.Client(tables, transport=emulator) as client, monkeypatch.context() as patch:
        no_threads(patch)
        with pytest.raises(ConfigurationError) as caught:
            client.chat("hi", model="compatible:emulated-model")
    words = "A provider cannot be made ready: no thread for preparations of providers: can't start new thread."
    assert caught.value.message == words
    assert not emulator.requests


def test_a_function_that_does_not_return_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(keys, "_READ_SECONDS", 0.05)
    text = failing(lambda: over.wait(30))
    over.set()
    assert "The function that gives the API key of x did not return within 0.05 s. Call it by hand to see why" in text


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_on_a_loop_a_function_is_given_up_too(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is asynchronous, and one for which there is no thread."""
    over = threading.Event()

    def problem(function: Callable[[], Any]) -> str:
        with pytest.raises(ConfigurationError) as caught:
            anyio.run(keys.fetched, function, "x", backend=backend)
        return caught.value.message.removeprefix("The function that gives the API key of x ")

    with monkeypatch.context() as patch:
        patch.setattr(keys, "_READ_SECONDS", 0.05)
        assert problem(lambda: over.wait(30)) == "did not return within 0.05 s. Call it by hand to see why."
        assert problem(anyio.sleep_forever) == "did not return within 0.05 s. Call it by hand to see why."
        over.set()
    no_threads(monkeypatch)
    assert problem(lambda: KEY) == f"is not waited for: {NO_THREAD}. Call it by hand to see why."


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_error_of_the_settings_that_an_async_function_raises_is_the_callers_own(backend: str) -> None:
    own = ConfigurationError("The vault is sealed.")

    async def give() -> str:
        raise own

    with pytest.raises(ConfigurationError) as caught:
        anyio.run(keys.fetched, give, "x", backend=backend)
    assert caught.value is own
    assert (own.message, own.provider) == ("The vault is sealed.", "x")


# --- references that cannot be meant


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({}, "api_key is a text, { env"),
        ({"env": "A", "file": "b"}, "api_key is a text, { env"),
        ({"env": "A", "refresh_seconds": 5}, "api_key is a text, { env"),
        ({"vault": "A"}, "api_key is a text, { env"),
        ([KEY], "api_key is a text, { env"),
        ({"file": ""}, r"api_key\.file must be a text"),
        ({"file": 5}, r"api_key\.file must be a text"),
        ({"file": "a\0b"}, r"api_key\.file must be a text"),
        ({"command": []}, "list of words, the program first"),
        ({"command": ["a", 5]}, "list of words, the program first"),
        ({"command": {"a": KEY}}, "list of words, the program first"),
        ({"command": [" "]}, "names no program"),
        ({"command": ["a", "b\0"]}, "names no program"),
        *(
            ({"command": ["a"], "refresh_seconds": seconds}, "refresh_seconds is a number of seconds, at least 1")
            for seconds in (0, -1, 0.5, True, "60", float("nan"), 1e10)
        ),
        ({"keyring": "acme"}, "keyring needs user"),
        ({"keyring": "acme", "user": ""}, r"api_key\.user must be a text"),
        ({"user": "me"}, "api_key is a text, { env"),
    ],
)
def test_a_reference_that_cannot_be_meant_is_refused_at_once(reference: Any, words: str) -> None:
    """When the configuration is read, not at the first call; the value is not shown."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_config(
            {"providers": {"x": {"kind": "compatible", "base_url": BASE, "api_key": reference}}}, environment={}
        )
    assert KEY not in str(caught.value)


def test_references_stand_in_a_file(tmp_path: Path) -> None:
    """The four forms as TOML."""
    path = tmp_path / "chatport.toml"
    forms = {
        '{ env = "A_KEY" }': {"env": "A_KEY"},
        '{ file = "key" }': {"file": "key"},
        '{ command = ["pass", "show", "acme"], refresh_seconds = 60 }': {
            "command": ("pass", "show", "acme"),
            "refresh_seconds": 60.0,
        },
        '{ keyring = "acme", user = "me" }': {"keyring": "acme", "user": "me"},
    }
    for text, reference in forms.items():
        path.write_text(f"[providers.x]\napi_key = {text}\n")
        assert load_config(path, environment={}).providers["x"].api_key == reference


# --- keys that cannot be sent


@pytest.mark.parametrize(
    "word",
    [
        *("sk-...", "sk-…", "sk-xxxx", "sk-xxxxxxxxxxxxxxxx", "...", "***", "XXXXXXXX", "gsk_...", "sk-proj-xxxxxxxx"),
        *("your-api-key", "YOUR_API_KEY", "your_api_key_here", "sk-your-key", "your-key", "insert-your-key-here"),
        *(
            "replace_me_with_a_key",
            "enter your token",
            "<key>",
            "<YOUR API KEY>",
            "[your key]",
            "{api_key}",
            "{{ key }}",
        ),
        *(
            "$ACME_API_KEY",
            "${ACME_API_KEY}",
            "%ACME_API_KEY%",
            "api_key",
            "API-KEY",
            "apikey",
            "changeme",
            "change-me",
        ),
    ],
)
def test_a_placeholder_is_called_one(word: str) -> None:
    text = failing(word)
    assert "The API key of x is a placeholder from an example" in text
    assert f" {word} " not in text


@pytest.mark.parametrize(
    "key",
    [
        *(
            "EMPTY",
            "ollama",
            "lm-studio",
            "token-abc123",
            "not-needed",
            "none",
            "dummy",
            "test",
            "k",
            "sk-no-key-required",
        ),
        *(
            "sk-1234xxxx5678",
            "your",
            "yourself",
            "my-secret-key",
            "emulated-key",
            "key",
            "sk-or-v1-0a1b",
            "sk-ant-api03-x",
        ),
        *("gsk_0123456789abcdef", "a$b", "AIzaSyXXX0", "fw_3Zx", "sk-svcacct-xxy", "hunter2...x"),
    ],
)
def test_what_may_be_a_key_is_none(key: str) -> None:
    """Also the words that servers without keys tell their users to send."""
    assert not is_placeholder(Secret(key))


@pytest.mark.parametrize("word", ["a_", "-", "x-x_", "your-", "<", "${", "api-key-"])
def test_a_long_key_is_looked_at_at_once(word: str) -> None:
    """A pattern that tried every way to cut the words of a key would never end; see the test of all patterns."""
    assert not is_placeholder(Secret(word * 50_000 + "!"))


@pytest.mark.parametrize(
    "key", ["a\nb", "a\r\nx: y", "a\tb\x00", "a\x7f", "schlüssel", "ключ", "a\u2028b", " a", "a ", "\ta", "\u00a0a", ""]
)
def test_a_key_that_no_header_can_carry_is_not_shown(key: str) -> None:
    provider = Provider("x", "X", BASE)
    with pytest.raises(ConfigurationError) as caught:
        check_key(Secret(key), provider, BASE)
    assert not key.strip(" a") or key not in str(caught.value)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b", "a\x1bb", "ü", "\u2028", " a", "a "])
@pytest.mark.parametrize("of", ["headers", "settings"])
def test_a_header_that_cannot_be_sent_is_refused_unseen(value: str, of: str) -> None:
    """The user's own, and those a setting is sent in: before anything is sent, without the value."""
    provider = Provider(
        "x", "X", BASE, settings={"team": "sent as a header"}, settings_headers={"team": "x-team"}, key_env=()
    )
    table = {"headers": {"x-team": value}} if of == "headers" else {"team": value}
    config = {"providers": {"x": {"api_key": KEY, **table}}, "model": "x:m"}
    transport = SimpleNamespace(close=lambda: None)  # asking it to send would fail
    with (
        chatport.Client(config, providers=[provider], transport=transport) as client,
        pytest.raises(ConfigurationError, match="header 'x-team' for x") as caught,
    ):
        client.chat("hello")
    assert repr(value) not in str(caught.value)
    assert value.strip("a ") == "" or value not in str(caught.value)


# --- whose key goes where


def test_a_vendors_own_key_stays_with_the_vendor() -> None:
    """Another host does not get the key of the environment unless told so. This machine may have it."""
    provider = Provider("acme", "Acme", "https://api.acme.example/v1", hosts=("*.acme.example",), key_env=("A_KEY",))

    def key_at(url: str, **table: Any) -> Secret | None:
        config = load_config({"providers": {"acme": {"base_url": url, **table}}}, environment={})
        return Vendors(config, environment={"A_KEY": KEY}, providers=[provider]).provider("acme").key

    for elsewhere in (
        "https://proxy.example/v1",
        "https://acme.example.evil.example/v1",
        "https://evilacme.example/v1",
        "https://api.acme.example.evil.example/v1",
        "https://127.0.0.1.evil.example/v1",
    ):
        with pytest.raises(ConfigurationError, match=r'say so: api_key = \{ env = "A_KEY" \}'):
            key_at(elsewhere)
        assert key_at(elsewhere, api_key={"env": "A_KEY"}) == Secret(KEY)
    for own in ("https://api.acme.example/other", "https://eu.acme.example/v1", "http://127.0.0.1:8000/v1"):
        assert key_at(own) == Secret(KEY)


def test_a_key_of_the_vendors_own_variable_may_be_another_one_the_next_time() -> None:
    """As one that is named by the user; one that stands in the configuration is what it is."""
    provider = Provider("acme", "Acme", BASE, key_env=("A_KEY",))

    def vendors(environment: dict[str, str], **table: Any) -> Vendors:
        config = load_config({"providers": {"acme": table}}, environment={})
        return Vendors(config, environment=environment, providers=[provider])

    environment = {"A_KEY": KEY}
    own = vendors(environment)
    assert not own.forget_key("acme", None), "it was never read"
    assert own.provider("acme").key == Secret(KEY)
    environment["A_KEY"] = "sk-the-next"
    assert own.provider("acme").key == Secret(KEY)
    assert own.forget_key("acme", Secret(KEY))
    assert own.provider("acme").key == Secret("sk-the-next")
    assert own.forget_key("acme", Secret(KEY)), "it was another one that was refused, and nothing is read for that"
    stated = vendors({"A_KEY": KEY}, api_key="sk-stated")
    assert stated.provider("acme").key == Secret("sk-stated")
    assert not stated.forget_key("acme", Secret("sk-stated"))
