"""Windows and macOS: nothing that only POSIX has is needed to import any package of ours, nor to make a call.

No such machine is at hand: what these tests cannot see is on the page `docs/platforms.md`. `make types` checks the
sources as Windows and macOS see the standard library, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from .platform_words import ATTRIBUTES, MODULES, Reading

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for pattern in ("core/src", "protocols/*/src", "plugins/*/src", "surfaces/src", "gateway/src")
    for folder in ROOT.glob(pattern)
    for path in folder.rglob("*.py")
)


@cache
def readings() -> dict[str, Reading]:
    """Return every source, read."""
    return {str(path.relative_to(ROOT)): Reading(path.read_text("utf-8")) for path in SOURCES}


def uses(kind: str) -> dict[str, list[str]]:
    """Return what the sources rely on, by file."""
    found = {name: getattr(reading, kind) for name, reading in readings().items()}
    return {name: places for name, places in found.items() if places}


def test_nothing_that_only_posix_has_is_used_while_we_are_imported() -> None:
    assert len(SOURCES) > 400
    assert uses("at_import") == {}


def test_every_use_of_what_only_posix_has_is_guarded() -> None:
    assert uses("anywhere") == {}


def test_every_text_is_read_and_written_in_an_encoding_that_is_named() -> None:
    assert uses("without_encoding") == {}


@pytest.mark.parametrize(
    ("source", "at_import", "anywhere"),
    [
        ("import fcntl", 1, 1),
        ("from resource import getrlimit", 1, 1),
        ("from os import fork", 1, 1),
        ("import os\nos.register_at_fork()", 1, 1),
        ("import os\nclass A:\n    x = os.getuid()", 1, 1),
        ("import os\ndef f(x=os.getuid()): pass", 1, 1),
        ("import os\n@os.fork\ndef f(): pass", 1, 1),
        ("import os\ndef f():\n    return os.getuid()", 0, 1),
        ("import os\nf = lambda: os.getuid()", 0, 1),
        ("def f():\n    import termios", 0, 1),
        ("import os\nif hasattr(os, 'register_at_fork'):\n    os.register_at_fork()", 0, 0),
        ("import os, sys\nx = os.getuid() if sys.platform != 'win32' else 0", 0, 0),
        ("import os\nx = os.name == 'posix' and os.getuid()", 0, 0),
        ("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None", 0, 0),
        ("try:\n    import fcntl\nexcept ValueError:\n    fcntl = None", 1, 1),
        ("from .resource import resource\nfrom ..signal import SIGKILL", 0, 0),
        ("import os\nx = getattr(os, 'O_CLOEXEC', 0)\nos.replace('a', 'b')", 0, 0),
    ],
)
def test_the_reading_of_a_source_finds_what_it_is_for(source: str, at_import: int, anywhere: int) -> None:
    reading = Reading(source)
    assert (len(reading.at_import), len(reading.anywhere)) == (at_import, anywhere)


@pytest.mark.parametrize(
    ("call", "count"),
    [
        ("open('a')", 1), ("open('a', 'w')", 1), ("open('a', mode='r')", 1),
        ("path.read_text()", 1), ("path.write_text('x')", 1), ("path.open('w')", 1),
        ("open('a', 'rb')", 0), ("open('a', encoding='utf-8')", 0), ("path.read_text('utf-8')", 0),
        ("path.write_text('x', 'utf-8')", 0), ("path.open('rb')", 0),
        ("breaker.open()", 0), ("os.open('a', 0)", 0),
    ],
)  # fmt: skip
def test_a_text_without_an_encoding_is_found(call: str, count: int) -> None:
    assert len(Reading(call).without_encoding) == count


WITHOUT_POSIX = """
import asyncio, importlib, importlib.abc, json, pkgutil, sys, trio, warnings

MODULES, ATTRIBUTES, TOPS, STEP = json.loads(sys.argv[1])

def import_all():
    names = list(TOPS)
    for top in TOPS:
        package = importlib.import_module(top)
        names += [found.name for found in pkgutil.walk_packages(package.__path__, f"{top}.")]
    for name in names:
        importlib.import_module(name)
    return names

def call_all():
    import chatport
    from chatport.testing import Emulator

    config = {"timeouts": {"total": 30}}
    model = "deepseek:deepseek-flash"

    def sync():
        with chatport.Client(config) as client:
            yield client.chat("say: sync", model=model).text
            with client.stream("say: streamed", model=model) as stream:
                list(stream)
            yield stream.reply.text

    async def asynchronous(word):
        async with chatport.AsyncClient(config) as client:
            async with client.stream(f"say: {word} streamed", model=model) as stream:
                async for event in stream:
                    pass
            return [(await client.chat(f"say: {word}", model=model)).text, stream.reply.text]

    with Emulator("deepseek") as emulator:
        config["providers"] = {"deepseek": {"base_url": emulator.base_url, "api_key": "k-emulated"}}
        return [*sync(), *asyncio.run(asynchronous("asyncio")), *trio.run(asynchronous, "trio")]

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

# At first as on this machine: Python's own modules and our dependencies choose by the system, and are left in peace.
import_all()
if STEP == "call":
    call_all()
for name in [name for name in sys.modules if name.partition(".")[0] in TOPS]:
    del sys.modules[name]
sys.meta_path.insert(0, Hidden())
for name in MODULES:
    sys.modules.pop(name, None)
for module, attributes in ATTRIBUTES.items():
    for attribute in attributes:
        if hasattr(sys.modules[module], attribute):
            delattr(sys.modules[module], attribute)
warnings.filterwarnings("error", category=EncodingWarning, module="chatport")
print(json.dumps(call_all() if STEP == "call" else import_all()))
"""

OF_PYTHON_ITSELF = {  # what the event loops of this machine cannot do without, while they run
    "select": {"epoll", "EPOLLIN", "EPOLLOUT"},
    "socket": {"AF_UNIX"},
    "signal": {"SIGCHLD", "pthread_sigmask"},
}


def tops() -> list[str]:
    """Return the import names of all packages."""
    places = (*ROOT.glob("core/src/*"), *ROOT.glob("p*/*/src/*"), ROOT / "surfaces/src/chatport_surfaces")
    gateway = ROOT / "gateway/src/chatport_gateway"
    return sorted(path.name for path in (*places, gateway) if (path / "__init__.py").is_file())


@pytest.mark.parametrize("step", ["import", "call"])
def test_every_package_works_without_what_only_posix_has(step: str, tmp_path: Path) -> None:
    """Every module is imported, and calls are made, as on a Python that lacks all of it."""
    kept = OF_PYTHON_ITSELF if step == "call" else {}
    hidden = {module: sorted(names - kept.get(module, set())) for module, names in ATTRIBUTES.items()}
    asked = json.dumps([sorted(MODULES - {"posix", "_posixsubprocess"}), hidden, tops(), step])
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", WITHOUT_POSIX, asked],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if step == "call":
        assert told == ["sync", "streamed", "asyncio", "asyncio streamed", "trio", "trio streamed"]
    else:
        assert len(told) > 400
        assert "chatport.transport.sockets_sync" in told
