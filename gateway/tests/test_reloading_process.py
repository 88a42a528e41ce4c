"""SIGHUP to a real `chatport serve`, with streams under way: none is cut, and what is wrong changes nothing."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatport.testing import Emulator, faults

from .serving import Serving, replace

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals")]

TARGET = "compatible:emulated-model"
WORDS = "one two three four five six seven eight nine ten"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Return a function that serves a configuration in `ours.toml` until the end of the test."""
    with ExitStack() as stack:

        def start(config: Any, **options: Any) -> Serving:
            replace(tmp_path / "ours.toml", config)
            made = Serving(tmp_path / "ours.toml", **options)
            stack.callback(made.stop)
            return made

        yield start


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator("compatible") as made:
        yield made


def config_of(emulator: Emulator, *aliases: str, **tables: Any) -> dict[str, Any]:
    return {**emulator.config(), "aliases": {name: [TARGET] for name in aliases}, **tables}


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Return a function that asks a gateway, over connections that are kept until the end of the test."""
    with httpx.Client(timeout=30) as http:

        def asked(url: str, model: str, text: str = WORDS, **options: Any) -> httpx.Response:
            body = {"model": model, "messages": [{"role": "user", "content": f"say: {text}"}], **options}
            return http.post(f"{url}/v1/chat/completions", json=body)

        yield asked


def is_whole(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n") and '"error":' not in answer.text


def test_streams_go_on_over_reloads(serve: Callable[..., Serving], ask: Ask, tmp_path: Path) -> None:
    with Emulator("compatible", faults=lambda number, request: faults.slow(bytes_per_second=800)) as slow:
        serving = serve(config_of(slow, "main"))
        with ThreadPoolExecutor(6) as pool:
            streams = [pool.submit(ask, serving.url, "main", stream=True) for _ in range(6)]
            while len(slow.requests) < 6:
                time.sleep(0.01)
            for number in range(4):
                replace(tmp_path / "ours.toml", config_of(slow, "main", f"new-{number}"))
                serving.reload()
                assert f"new-{number}" in httpx.get(f"{serving.url}/v1/models").text
                assert f"new-{number - 1}" not in httpx.get(f"{serving.url}/v1/models").text
            assert not any(stream.done() for stream in streams)
            assert all(is_whole(stream.result()) for stream in streams)


def test_many_reloads_under_load(serve: Callable[..., Serving], ask: Ask, tmp_path: Path) -> None:
    """Two vendors in turn: each answer is whole, and after the last signal only the last one answers."""
    with Emulator("compatible") as one, Emulator("compatible") as two:
        configs = [config_of(one, "main"), config_of(two, "main")]
        serving = serve(configs[0])
        is_over = threading.Event()

        def work(*, stream: bool) -> int:
            count = 0
            while not is_over.is_set():
                answer = ask(serving.url, "main", stream=stream)
                assert answer.status_code == 200, answer.text
                assert is_whole(answer) if stream else answer.json()["choices"][0]["message"]["content"] == WORDS
                count += 1
            return count

        with ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(work, stream=number % 2 == 0) for number in range(4)]
            for number in range(1, 31):
                replace(tmp_path / "ours.toml", configs[number % 2])
                serving.hang_up()
                time.sleep(0.02)
            replace(tmp_path / "ours.toml", configs[1])
            serving.reload()
            time.sleep(0.2)
            before = len(one.requests)
            time.sleep(0.3)
            is_over.set()
            assert all(worker.result() > 0 for worker in workers)
        assert len(one.requests) == before
        assert two.requests
        assert "refused" not in serving.log()


def test_a_signal_while_it_reads_has_it_read_again(serve: Callable[..., Serving], ask: Ask, tmp_path: Path) -> None:
    """And one that comes as soon as it says that it serves is no end of it."""
    with Emulator("compatible") as emulator:
        serving = serve(config_of(emulator, "main"))
        for number in range(20):
            replace(tmp_path / "ours.toml", config_of(emulator, f"alias-{number}"))
            serving.hang_up()
        deadline = time.monotonic() + 20
        while ask(serving.url, "alias-19").status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ask(serving.url, "alias-19").status_code == 200
        assert ask(serving.url, "alias-18").status_code == 404


def test_what_is_wrong_changes_nothing_and_is_said(
    serve: Callable[..., Serving], ask: Ask, emulator: Emulator, tmp_path: Path
) -> None:
    good = config_of(emulator, "main")
    serving = serve(good)
    wrong: list[tuple[Any, str]] = [
        ('[aliases]\nmain = ["compat', "ours.toml"),
        ({**good, "gateway": {"prot": 1}}, "prot"),
        ({**good, "gateway": {"key_env": "NOT_SET_ANYWHERE"}}, "NOT_SET_ANYWHERE"),
        ({**good, "gateway": {"store": "disk"}}, "one of memory"),
        ({**good, "aliases": {"main": []}}, "main"),
        ({**good, "aliases": {"main": ["nobody:m"]}}, "nobody"),
        ({**good, "aliases": {"main": ["openai:gpt-6-sol"]}}, "OPENAI_API_KEY"),
        ({**good, "providers": {"compatible": {"kind": "compatible", "base_url": "ftp://x"}}}, "base_url"),
        ({**good, "team": {"usd_dy": 1}}, "usd_dy"),
    ]
    for number, (config, words) in enumerate(wrong, 1):
        replace(tmp_path / "ours.toml", config)
        serving.hang_up()
        said = serving.wait_for("reload_refused", number).rpartition("reload_refused")[2]
        assert words in said, said
        assert ask(serving.url, "main").status_code == 200
    (tmp_path / "ours.toml").unlink()
    serving.hang_up()
    assert "ours.toml" in serving.wait_for("reload_refused", len(wrong) + 1).rpartition("reload_refused")[2]
    replace(tmp_path / "ours.toml", config_of(emulator, "main", "mended"))
    serving.reload()
    assert ask(serving.url, "mended").status_code == 200


def test_the_end_of_its_terminal_ends_it(serve: Callable[..., Serving], ask: Ask, emulator: Emulator) -> None:
    """The signal is the same: as long as the terminal is there it means the file, then it means the end."""
    ours, theirs = os.openpty()
    take = f"import os; os.open({os.ttyname(theirs)!r}, os.O_RDWR)\n"
    serving = serve(config_of(emulator, "main"), before=take)
    os.close(theirs)
    serving.reload()
    assert ask(serving.url, "main").status_code == 200
    os.close(ours)
    assert serving.process.wait(20) == 0


def test_the_manager_of_services_is_told_when_it_serves_and_when_it_stops(
    serve: Callable[..., Serving], emulator: Emulator, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        serving = serve(config_of(emulator, "main"), NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(100) == b"READY=1"
        serving.stop()
        assert manager.recv(100) == b"STOPPING=1"
