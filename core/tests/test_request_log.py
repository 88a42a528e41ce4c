"""The log of an emulator: a line for each request, without keys, and without content unless that is asked for."""

from __future__ import annotations

import http.client
import io
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import chatport
from chatport.testing import Emulator, faults

KEY = "sk-secret-1234567890"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def lines_of(*messages: str, **settings: Any) -> list[str]:
    """Return the lines that calls with these messages leave."""
    lines: list[str] = []
    emulator = Emulator("compatible", log=lines.append, api_key=KEY, **settings)
    with chatport.Client(emulator.config(retry={"attempts": 1}), transport=emulator) as client:
        for message in messages:
            with suppress(chatport.ChatportError):
                client.chat(message, model="compatible:emulated-model", tools=[TOOL])
    return lines


def test_a_line_says_what_was_asked_for_and_what_came_of_it() -> None:
    served, refused, failed = lines_of("say: a", "error: 429", "say: b", faults=[None, None, faults.status(503)])
    shape = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ POST /v1/chat/completions model="emulated-model" stream=\w+ messages=1 '
    assert re.fullmatch(shape + r"tools=1 bytes=\d+ status=200", served)
    assert re.fullmatch(shape + r"tools=1 bytes=\d+ status=429", refused)
    assert re.fullmatch(shape + r'tools=1 bytes=\d+ status=503 fault="status\(503\)"', failed)


def test_a_connection_that_breaks_has_no_status() -> None:
    (line,) = lines_of("say: a", faults=[faults.reset_before_head()])
    assert line.endswith('status=- fault="reset_before_head()"')


def test_what_was_said_is_there_only_if_it_is_asked_for() -> None:
    (line,) = lines_of("say: the moon is full")
    assert "moon" not in line
    (line,) = lines_of("say: the moon is full", log_content=True)
    assert line.count("the moon is full") == 2  # asked and answered
    assert "\n" not in line


@pytest.mark.parametrize("content", [False, True])
def test_no_key_is_in_it(content: bool) -> None:
    """Not from the header, and not from a body that repeats it, asked or answered."""
    lines = lines_of(f"say: my key is {KEY}", "say: x", faults=[None, faults.echo_key()], log_content=content)
    assert KEY not in "\n".join(lines)
    assert ("my key is ***" in lines[0]) == content


def test_a_query_and_control_characters_stay_out() -> None:
    stream = io.StringIO()
    with Emulator("compatible", log=stream, log_content=True) as emulator:
        address = urlsplit(emulator.base_url)
        connection = http.client.HTTPConnection(str(address.hostname), int(address.port or 0), timeout=10)
        content = b'{"model": "\x1b[31m\xff'
        connection.request("POST", f"/v1/nowhere?key={KEY}", content, {"authorization": "k"})
        connection.getresponse().read()
        connection.close()
    (line,) = stream.getvalue().splitlines()
    assert KEY not in line
    assert "\x1b" not in line
    assert " POST /v1/nowhere bytes=17 status=404 " in line


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "requests.log"
    for _ in range(2):
        emulator = Emulator("compatible", log=path)
        with chatport.Client(emulator.config(), transport=emulator) as client:
            client.chat("say: a", model="compatible:emulated-model")
    assert len(path.read_text("utf-8").splitlines()) == 2
    assert json.loads(re.findall(r"model=(\S+)", path.read_text("utf-8"))[0]) == "emulated-model"
