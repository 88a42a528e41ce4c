"""README and manual: every example is run as it stands there, with the vendors' twins in the vendors' places.

The blocks of a page are run in order, in one folder and one namespace. A Python block is executed; a TOML block becomes
the `chatport.toml` of the folder; a shell block is checked, its `export` lines hold for the blocks below, its `pip
install -e .` makes the packages of the folder known, its `pytest` lines are run, and `chatport trust` trusts the
file. A block that follows a line which ends in a file name and a colon (`patch.py`:) is written to that file instead. A
text block after a line that ends in "prints:" is what the Python block above it has printed. A Python block that awaits
by itself is the cell of a notebook.

Requests to a vendor's own host are answered by the emulator of that vendor's package. No byte leaves the machine.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
from click.testing import CliRunner
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

import chatport
import chatport.hooks
from chatport.basics.secret import Secret
from chatport.cli import group
from chatport.plugins.installed import installed_providers
from chatport.plugins.registry import load_provider
from chatport.setup.configfile import read_config_file
from chatport.setup.origins import is_placeholder
from chatport.setup.truststore import trust
from chatport.testing import Emulator
from chatport.transport import sockets
from chatport.transport.sockets_async import SocketsAsyncTransport
from chatport.transport.sockets_sync import SocketsTransport

ROOT = Path(__file__).resolve().parent.parent
MANUAL = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/recipes/*.md")),
]
PAGES = [
    *MANUAL,
    *sorted(ROOT.glob("plugins/*/README.md")),
    *sorted(ROOT.glob("protocols/*/README.md")),
    ROOT / "surfaces" / "README.md",
    ROOT / "mcptools" / "README.md",
    ROOT / "bulk" / "README.md",
]
LANGUAGES = ("python", "toml", "shell", "sh", "json", "text")
RUN_COMMANDS = ("explain", "models", "providers", "trust")
OTHER_COMMANDS = ("cd", "curl", "git", "python", "unset")


class Network:
    """What answers at each host: a vendor's emulator, this machine itself, or nobody."""

    def __init__(self) -> None:
        self._emulators: dict[str, Emulator] = {}

    def at(self, url: str) -> Emulator | None:
        """Return the emulator of a host, None for this machine, which is really asked."""
        host = urlsplit(url).hostname or ""
        if host == "127.0.0.1":
            return None
        if host not in self._emulators:
            self._emulators[host] = self._start(host)
        return self._emulators[host]

    def put(self, url: str, emulator: Emulator) -> None:
        """Let an emulator of the test's own answer at a host."""
        self._emulators[urlsplit(url).hostname or ""] = emulator

    @staticmethod
    def _start(host: str) -> Emulator:
        for name in installed_providers():
            provider = load_provider(name)
            own = (urlsplit(provider.base_url).hostname or "", *provider.hosts)
            if any(fnmatchcase(host, pattern) for pattern in own if pattern):
                return Emulator(name)
        assert host.endswith((".example", ".internal")), f"an example sends to {host}, which nobody emulates"
        return Emulator("compatible", models=())


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    """Put the emulators behind the transports that a client opens by itself. A client that is given stays as it is."""
    network = Network()

    class SyncTransport(SocketsTransport):
        def send(self, request: Any, connect_seconds: float | None, head_seconds: float | None) -> Any:
            emulator = network.at(request.url)
            chosen: Any = super() if emulator is None else emulator
            return chosen.send(request, connect_seconds, head_seconds)

    class AsyncTransport(SocketsAsyncTransport):
        async def send(self, request: Any, connect_seconds: float | None, head_seconds: float | None) -> Any:
            emulator = network.at(request.url)
            chosen: Any = super() if emulator is None else emulator.asynchronous()
            return await chosen.send(request, connect_seconds, head_seconds)

    monkeypatch.setattr(sockets, "open_transport", SyncTransport)
    monkeypatch.setattr(sockets, "open_async_transport", AsyncTransport)
    return network


class Reader:
    """Somebody who follows a page from top to bottom, in an empty folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = monkeypatch
        self.evaluate = PythonEvaluator()
        self.printed = ""
        self.ran: list[str] = []
        self.names: dict[str, Any] = {}
        self.loop = asyncio.Runner()
        self.parsers = [CodeBlockParser(language, getattr(self, language)) for language in LANGUAGES]

    def read(self, page: Path) -> None:
        """Follow the page."""
        document = Sybil(self.parsers).parse(page)
        module = ModuleType("example")
        self.patch.setitem(sys.modules, "example", module)
        document.namespace = self.names = vars(module)
        if page.name == "hooks.md":  # signatures, which stand there without the imports of their file
            vars(module).update(vars(chatport.hooks))
        for example in document.examples():
            file = file_named_above(example)
            if file is not None:
                self.write(file, example)
            else:
                self.ran.append(example.region.lexemes["arguments"])
                example.evaluate()

    def write(self, file: str, example: Example) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(example.parsed, "utf-8")
        if file.endswith(".py"):
            compile(example.parsed, file, "exec")
        elif file.endswith(".toml"):
            tomllib.loads(example.parsed)
            if file == "chatport.toml":
                chatport.load_config(path)
        elif file.endswith(".json"):
            json.loads(example.parsed)

    # --- one method for each language

    def python(self, example: Example) -> None:
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                if not self.cell(example):
                    self.evaluate(example)
        finally:
            self.printed = printed.getvalue()
            print(self.printed)

    def cell(self, example: Example) -> bool:
        """Run a block that awaits by itself as a notebook does: all of a page in one loop, the last value shown."""
        tree = ast.parse(example.parsed)
        code = compile(tree, str(example.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if not code.co_flags & inspect.CO_COROUTINE:
            return False
        last = tree.body[-1]
        if isinstance(last, ast.Expr):
            shown = ast.Assign([ast.Name("_", ast.Store())], last.value)
            tree.body[-1] = ast.fix_missing_locations(ast.copy_location(shown, last))
        ast.increment_lineno(tree, example.line)
        code = compile(tree, str(example.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        example.namespace["_"] = None
        self.loop.run(eval(code, example.namespace))
        value = example.namespace["_"]
        if value is not None:
            print(value._repr_markdown_() if hasattr(value, "_repr_markdown_") else repr(value))
        return True

    def toml(self, example: Example) -> None:
        path = self.folder / "chatport.toml"
        path.write_text(example.parsed, "utf-8")
        for table in chatport.load_config(path).providers.values():
            for file in table.patches:
                assert (self.folder / file).is_file(), f"{file} is nowhere on the page"
        if "plugins" in example.path.split(os.sep):  # the manual says it, and these pages do not say it again
            trust(read_config_file(path))

    def json(self, example: Example) -> None:
        json.loads(example.parsed)

    def text(self, example: Example) -> None:
        """Compare what the example above has printed; "…" stands for anything."""
        if line_above(example).endswith("prints:"):
            pattern = ".*".join(re.escape(piece) for piece in example.parsed.strip().split("…"))
            assert re.fullmatch(pattern, self.printed.strip(), re.DOTALL), self.printed

    def shell(self, example: Example) -> None:
        for line in example.parsed.replace("\\\n", " ").splitlines():
            for command in commands(line):
                self.command(command, line)

    sh = shell

    def command(self, words: list[str], line: str) -> None:
        name, arguments = words[0], words[1:]
        match name:
            case "export":
                for word in arguments:
                    variable, _, value = word.partition("=")
                    if not is_placeholder(Secret(value)):  # else the reader's own value is meant, which is set already
                        self.patch.setenv(variable, value)
            case "chatport":
                check_chatport(arguments, line)
            case "make":
                targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
                assert set(arguments) <= set(targets), line
            case "pip":
                self.pip(arguments, line)
            case "pytest":
                self.pytest(arguments)
            case _:
                assert name in OTHER_COMMANDS, f"{name!r} is checked by nobody: {line}"

    def pip(self, arguments: list[str], line: str) -> None:
        assert arguments[0] == "install", line
        folders = [word.partition("[")[0] for word in arguments[1:] if word.startswith("./")]
        if folders:
            projects = [tomllib.loads((ROOT / one / "pyproject.toml").read_text("utf-8"))["project"] for one in folders]
            needed = {name for one in projects for name in re.findall(r"\bchatport-[a-z-]+", str(one["dependencies"]))}
            lacking = needed - {one["name"] for one in projects}
            assert not lacking, f"{line}: no index has {lacking}"
        if "." in arguments[1:]:
            self.install()

    def install(self) -> None:
        """Do what `pip install -e .` in the folder would do: put its package on the path, and its entry points."""
        project = tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))["project"]
        groups: dict[str, dict[str, str]] = project["entry-points"]
        assert groups.keys() <= {"chatport.providers", "chatport.patches"}, groups
        marks = {"chatport.providers": "", "chatport.patches": "patch:"}
        items = [f"{marks[kind]}{name}={target}" for kind, table in groups.items() for name, target in table.items()]
        self.patch.setenv("CHATPORT_PLUGINS", ",".join(items))
        source = self.folder / "src"
        place = str(source if source.is_dir() else self.folder)
        self.patch.setenv("PYTHONPATH", place)
        self.patch.syspath_prepend(place)
        importlib.invalidate_caches()

    def pytest(self, arguments: list[str]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def line_above(example: Example) -> str:
    return example.document.text[: example.start].rstrip().rpartition("\n")[2]


def file_named_above(example: Example) -> str | None:
    """Return the file that the line above a block names, if it ends in a file name and a colon."""
    match = re.search(r"`([\w./-]+\.(?:py|toml|jsonl?))`:$", line_above(example))
    return None if match is None or match[1] == "chatport.toml" else match[1]


def commands(line: str) -> Iterator[list[str]]:
    """Give the commands of a shell line, without redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for word in [*lexer, ";"]:
        if word in ("|", "&&", ";"):
            if words:
                yield words
            words = []
        elif word in ("<", ">"):
            skip = True
        elif skip:
            skip = False
        elif words or not re.fullmatch(r"[A-Z_]+=.*", word):
            words.append(word)


def check_chatport(arguments: list[str], line: str) -> None:
    """Fail unless the command exists and has these options. Those that need no file and end by themselves are run."""
    if arguments[0].startswith("-"):
        assert arguments[0] in ("--help", "--version"), line
        return
    with click.Context(group) as context:
        command = group.get_command(context, arguments[0])
        assert command is not None, f"there is no such command: {line}"
        with click.Context(command, info_name=arguments[0], parent=context) as inner:
            command.make_parser(inner).parse_args(list(arguments[1:]))
    if arguments[0] in RUN_COMMANDS and (arguments != ["trust"] or Path("chatport.toml").exists()):
        yes = ["--yes"] if arguments == ["trust"] else []  # as the reader says when asked
        result = CliRunner().invoke(group, [*arguments, *yes])
        assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network) -> Iterator[Reader]:
    """Return a reader with a key for every vendor, a local server that runs, and no other settings."""
    for name in [name for name in os.environ if name.startswith(("LLM_", "CHATPORT_")) or name == "BASE_URL"]:
        monkeypatch.delenv(name)
    for name in installed_providers():
        provider = load_provider(name)
        for variable in provider.base_url_env:
            monkeypatch.delenv(variable, raising=False)
        if provider.auth.required and provider.key_env:
            monkeypatch.setenv(provider.key_env[0], "a-key-for-the-emulator")
    monkeypatch.setenv("ACME_API_KEY", "a-key-for-acme")
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    loaded = set(sys.modules)
    with Emulator("ollama", models=("qwen3:8b",)) as ollama:
        monkeypatch.setenv("OLLAMA_HOST", ollama.base_url)
        reader = Reader(tmp_path, monkeypatch)
        before = dict(os.environ)
        with reader.loop:
            yield reader
        os.environ.clear()  # a page may set variables in its own way
        os.environ.update(before)
    for module in [name for name in sys.modules if name not in loaded]:
        if str(tmp_path) in (getattr(sys.modules[module], "__file__", None) or ""):
            del sys.modules[module]


@pytest.mark.filterwarnings("ignore:Async generator 'openai:ResourceWarning")  # the SDK's own, on trio
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_of_a_page_runs(page: Path, reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    reader.read(page)
    if "print(" in page.read_text("utf-8") and "python" in reader.ran:
        assert capsys.readouterr().out.strip(), "the examples print, yet nothing came"


@pytest.mark.parametrize("page", MANUAL, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_of_a_language_that_is_checked(page: Path) -> None:
    fences = re.findall(r"^ *(`{3,}|~{3,})(.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert {info.strip() for _, info in fences[::2]} <= set(LANGUAGES)
    assert not any(info.strip() for _, info in fences[1::2])


def test_an_example_that_fails_fails_the_test(tmp_path: Path, reader: Reader) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '```python\nimport chatport\n\nchatport.Client().chat("hello", model="nobody:here")\n```\n', "utf-8"
    )
    with pytest.raises(chatport.ConfigurationError):
        reader.read(page)


def test_an_example_may_run_its_own_event_loop(tmp_path: Path, reader: Reader) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nimport asyncio\n\nasyncio.run(asyncio.sleep(0))\n```\n", "utf-8")
    reader.read(page)
    assert reader.ran == ["python"]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


@pytest.mark.parametrize(
    "line",
    [
        "chatport sing",
        "chatport chat --loudly hello",
        "make coffee",
        "pip install ./nowhere",
        "pip install ./core ./plugins/provider-deepseek",
        "rm -rf .",
    ],
)
def test_a_shell_line_that_cannot_work_fails_the_test(line: str, tmp_path: Path, reader: Reader) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```shell\n{line}\n```\n", "utf-8")
    with pytest.raises((AssertionError, OSError, click.ClickException)):
        reader.read(page)
