"""The recipes do what their pages say, also where a vendor fails, stays silent, or the reader leaves.

That they run at all, with vendors that answer, is shown by `test_docs.py`.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from tests.test_docs import ROOT, Network, Reader, network, reader

from chatport.testing import Emulator, faults

__all__ = ["network", "reader"]

RECIPES = ROOT / "docs" / "recipes"
GENERATOR = run_path(str(ROOT / "docs" / "generate_recipes.py"))
HALVED = (
    "switch-vendor", "agent", "bulk-extraction", "structured-output", "fallback-and-budget", "persistence",
    "test-your-program",
)  # fmt: skip
"""Where the library does what is work by hand."""
SECONDS = 5


def read(name: str, reader: Reader, **changes: str) -> str:
    """Follow a recipe, with some of its words changed, and return what it has printed."""
    text = (RECIPES / f"{name}.md").read_text("utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    page = reader.folder / f"{name}.md"
    page.write_text(text, "utf-8")
    reader.read(page)
    return reader.printed


def said_to(emulator: Emulator, number: int) -> list[tuple[str, object]]:
    """Return role and content of each message of a request."""
    return [(message["role"], message["content"]) for message in emulator.requests[number].json()["messages"]]


def test_every_recipe_is_in_the_table_and_has_its_twin() -> None:
    pages = {path.stem for path in RECIPES.glob("*.md")} - {"index", "by-hand"}
    assert set(GENERATOR["ORDER"]) == pages
    sections = re.findall(r"^## (\S+)$", GENERATOR["BY_HAND"].read_text("utf-8"), re.MULTILINE)
    assert pages - set(sections) == {"notebook", "gateway-and-migration"}
    assert set(sections) <= pages


@pytest.mark.parametrize("name", HALVED)
def test_where_the_library_does_the_work_a_recipe_is_half_as_long(name: str) -> None:
    counted = GENERATOR["lengths"](name)
    assert 2 * (counted.recipe - counted.shared) <= counted.by_hand - counted.shared


def test_an_answer_of_one_vendor_is_read_by_the_next(reader: Reader, network: Network) -> None:
    read("switch-vendor", reader)
    claude = network.at("https://api.anthropic.com")
    gpt = network.at("https://api.openai.com")
    assert claude is not None
    assert gpt is not None
    assert claude.requests[-1].json()["system"]
    assert [message["role"] for message in claude.requests[-1].json()["messages"]] == ["user", "assistant", "user"]
    asked = gpt.requests[-1].json()
    assert len(asked.get("messages") or asked["input"]) >= 5


def test_calls_of_one_answer_are_run_approved_and_told(reader: Reader) -> None:
    question = "Is tonight a good evening to eat outside in Paris? Then book for two."
    calls = (
        r"call: get_weather {\"city\": \"Paris\"}\n"
        r"call: book_table {\"restaurant\": \"Le Port\", \"persons\": 12}\n"
        r"call: get_weather {\"city\": 5}"
    )
    printed = read("agent", reader, **{question: calls})
    assert "get_weather: ok book_table: denied get_weather: invalid" in printed


def test_another_vendor_steps_in(reader: Reader, network: Network) -> None:
    network.put("https://api.deepseek.com", Emulator("deepseek", faults=[faults.status(402)]))
    assert "openai ['QuotaExceededError', 'ok']" in read("fallback-and-budget", reader)


def test_what_has_come_is_kept_and_talked_on_from(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (RECIPES / "cancellation.md").read_text("utf-8")
    first_block = text[: text.index("A button that stops")]
    page = reader.folder / "cancellation.md"
    changed = first_block.replace("asyncio.timeout(5)", "asyncio.timeout(0.3)").replace(
        "Tell me a long story.", r"think: Well.\nsay: Once upon a time there was a long story, and it went on and on."
    )
    page.write_text(changed, "utf-8")
    with Emulator("deepseek", faults=[faults.stall(after_events=8)]) as emulator:
        monkeypatch.setenv("DEEPSEEK_API_BASE", emulator.base_url)
        reader.read(page)
    shown = reader.printed.partition(" …")[0]
    assert shown
    assert ("assistant", shown) in said_to(emulator, 1)


def test_a_run_that_was_kept_does_not_run_its_tool_again(reader: Reader, network: Network) -> None:
    emulator = network.at("https://api.deepseek.com")
    assert emulator is not None
    read("persistence", reader)
    assert [role for role, _ in said_to(emulator, 1)] == ["user", "assistant", "user"]
    assert [role for role, _ in said_to(emulator, -1)] == ["user", "assistant", "tool"]


def test_rows_that_are_done_are_not_asked_for_again(reader: Reader, network: Network) -> None:
    emulator = network.at("https://api.openai.com")
    assert emulator is not None
    read("bulk-extraction", reader)
    assert len(emulator.requests) == 3
    with (reader.folder / "mails.txt").open("a", encoding="utf-8") as mails:
        mails.write("And where is my table?\n")
    read("bulk-extraction", reader)
    assert len(emulator.requests) == 4
    assert "table" in json.dumps(emulator.requests[-1].json())


def test_a_reply_at_the_end_of_a_cell_is_shown(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    read("notebook", reader)
    assert re.search(r"\*`deepseek:deepseek-flash` · .*tokens", capsys.readouterr().out)


class TalkativeVendor:
    """Speaks for ever, and notes when the one it speaks to is gone."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.is_left = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            delta = {"index": 0, "delta": {"role": "assistant", "content": "word "}, "finish_reason": None}
            event = b"data: " + json.dumps({"choices": [delta]}).encode() + b"\n\n"
            try:
                while True:
                    connection.sendall(event)
                    time.sleep(0.01)
            except OSError:
                self.is_left.set()

    def close(self) -> None:
        self.listener.close()
        self.thread.join(SECONDS)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application with uvicorn, on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + SECONDS
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(SECONDS)


def test_a_browser_that_leaves_stops_the_vendor(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = TalkativeVendor()
    monkeypatch.setenv("DEEPSEEK_API_BASE", vendor.url)
    read("fastapi-stream", reader)
    with served(reader.names["app"]) as url:
        with httpx.stream("GET", f"{url}/chat", params={"question": "hello"}) as response:
            lines = response.iter_lines()
            assert next(line for line in lines if line) == 'data: "word "'
            assert not vendor.is_left.is_set()
        assert vendor.is_left.wait(SECONDS)
    vendor.close()


@pytest.mark.parametrize(
    ("question", "last"), [("say: Hello there.", "done"), ("error: 500", "failed")], ids=["whole", "failed"]
)
def test_the_browser_is_told_how_an_answer_ended(
    question: str, last: str, reader: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "chatport.toml").write_text("[retry]\nattempts = 1\n", "utf-8")
    with Emulator("deepseek") as emulator:
        monkeypatch.setenv("DEEPSEEK_API_BASE", emulator.base_url)
        read("fastapi-stream", reader)
        with served(reader.names["app"]) as url:
            events = httpx.get(f"{url}/chat", params={"question": question}).text
    assert re.findall(r"^event: (\w+)", events, re.MULTILINE) == [last]
    said = "".join(json.loads(data) for data in re.findall(r'^data: (".*")$', events, re.MULTILINE))
    assert ("Hello there." in said) is (last == "done")
