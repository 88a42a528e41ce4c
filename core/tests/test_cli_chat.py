"""What goes along with a question of `chatport chat`: files, tools, a structure; and how a refusal ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatport.testing import EmulatedRequest, EmulatedResponse, VendorEmulator

from .cli_runs import Folder, opened

PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6360000000020001e221bc33"
    "0000000049454e44ae426082"
)
TOOLS = '''
"""Tools of a test."""

import asyncio


def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: the city's name
    """
    print("looking out of the window")
    return f"rain in {city}"


async def look_up(word: str) -> list[str]:
    """Look a word up."""
    await asyncio.sleep(0)
    return [word, word.upper()]


def broken(city: str) -> str:
    """Fail."""
    raise RuntimeError("no\\x1b[2Jwindow")


NUMBER = 7
'''
TYPES = """
import dataclasses


@dataclasses.dataclass
class City:
    name: str
    people: int
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    (tmp_path / "chatport_test_tools.py").write_text(TOOLS, "utf-8")
    (tmp_path / "types_here.py").write_text(TYPES, "utf-8")
    yield from opened(tmp_path, monkeypatch, capsys)


# --- options of the call


def test_sampling_options_are_sent(folder: Folder) -> None:
    done = folder.run("chat", "-q", "-m", "acme:acme-fast", "--seed", "7", "--top-p", "0.5", "--temperature", "0.1",
                      "--stop", "END", "--stop", "STOP", "say: yes")  # fmt: skip
    assert (done.code, done.out) == (0, "yes\n"), done.err
    body = folder.emulator.requests[-1].json()
    assert (body["seed"], body["top_p"], body["temperature"], body["stop"]) == (7, 0.5, 0.1, ["END", "STOP"])


# --- files


def test_text_files_stand_in_the_message_by_their_names(folder: Folder) -> None:
    (folder.path / "a.txt").write_text("\ufeffalpha\n", "utf-8")
    (folder.path / 'b"<&>\n.csv').write_text("x,y\n1,2\n", "utf-8")
    done = folder.run("chat", "-q", "--file", "a.txt", "-f", 'b"<&>\n.csv', "say: read", stdin="from the pipe")
    assert (done.code, done.out) == (0, "read\n"), done.err
    assert folder.sent()[-1]["content"] == (
        'say: read\n\nfrom the pipe\n\n<file name="a.txt">\nalpha\n</file>\n\n'
        '<file name="b&quot;&lt;&amp;&gt;&#10;.csv">\nx,y\n1,2\n</file>'
    )


def test_documents_and_pictures_are_parts(folder: Folder) -> None:
    (folder.path / "report").write_bytes(PDF)  # its bytes say what it is
    (folder.path / "dot.png").write_bytes(PNG)
    done = folder.run("chat", "-q", "--file", "report", "--file", "dot.png", "say: seen")
    assert (done.code, done.out) == (0, "seen\n"), done.err
    content = folder.sent()[-1]["content"]
    assert isinstance(content, list)
    assert [part["type"] for part in content] == ["text", "file", "image_url"]
    assert content[1]["file"]["filename"] == "report"
    assert content[1]["file"]["file_data"].startswith("data:application/pdf;base64,")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("blob", b"\x00\x01\x02\xff", "neither UTF-8 text nor a document"),
        ("latin.txt", b"caf\xe9", "neither UTF-8 text nor a document"),
        ("empty.txt", b"", "is empty"),
        ("missing.txt", None, "No such file"),
    ],
)
def test_a_file_that_cannot_go_along_is_said_before_anything_is_sent(
    folder: Folder, name: str, data: bytes | None, words: str
) -> None:
    if data is not None:
        (folder.path / name).write_bytes(data)
    done = folder.run("chat", "--file", name, "hi")
    assert (done.code, done.out) == (2, "")
    assert name in done.err
    assert words in done.err
    assert not folder.emulator.requests


# --- tools


def test_a_tool_is_run_and_its_result_is_told(folder: Folder) -> None:
    tool = ("-m", "acme:acme-fast", "--yes", "--tool", "chatport_test_tools:weather")
    done = folder.run("chat", *tool, 'call: weather {"city": "Paris"}')
    assert (done.code, done.out) == (0, "The tool says: rain in Paris\n"), done.err
    assert "→ weather(" in done.err
    assert "← weather: rain in Paris" in done.err
    assert "looking out of the window" in done.err  # and not in the answer
    sent = folder.emulator.requests[0].json()["tools"][0]["function"]
    assert sent["parameters"]["properties"]["city"]["description"] == "the city's name"


def test_an_asynchronous_tool_of_a_file_is_run_to_its_end(folder: Folder) -> None:
    tools = ("--tool", "chatport_test_tools.py:look_up", "--tool", "chatport_test_tools.py:weather")
    done = folder.run(
        "chat", "-q", *tools, "--approve", "look_up", "--approve", "weather", 'call: look_up {"word": "a"}'
    )
    assert (done.code, done.out) == (0, 'The tool says: ["a","A"]\n'), done.err


def test_an_error_of_a_tool_goes_to_the_model_and_directs_no_terminal(folder: Folder) -> None:
    done = folder.run("chat", "-y", "-t", "chatport_test_tools:broken", 'call: broken {"city": "Paris"}')
    assert done.code == 0, done.err
    assert "(error) RuntimeError: no\\x1b[2Jwindow" in done.err
    assert "\x1b[2J" not in done.out + done.err


def test_events_of_a_run_are_json_lines(folder: Folder) -> None:
    done = folder.run("chat", "-y", "--json", "-t", "chatport_test_tools:weather", 'call: weather {"city": "Paris"}')
    events = [json.loads(line) for line in done.out.splitlines()]
    names = [event["event"] for event in events]
    assert names.count("Finished") == 2
    assert [name for name in names if name.startswith("Tool") and "Call" not in name] == ["ToolStarted", "ToolEnded"]
    assert events[names.index("ToolEnded")]["result"]["content"] == "rain in Paris"
    assert (names[-1], events[-1]["outcome"], events[-1]["steps"]) == ("RunFinished", "done", 2)
    assert events[-1]["usage"]["input_tokens"] > 0


def test_a_model_that_calls_without_end_is_stopped(folder: Folder) -> None:
    done = folder.run(
        "chat", "-y", "--max-steps", "1", "-t", "chatport_test_tools:weather", 'call: weather {"city": "x"}'
    )
    assert done.code == 1
    assert "RunLimitError" in done.err
    assert len(folder.emulator.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-t", "chatport_test_tools:weather"), "There is nobody to ask"),
        (("-t", "chatport_test_tools:weather", "--approve", "wether", "-y"), "'wether' is none of the tools: weather"),
        (("--approve", "weather"), "none is given with --tool"),
        (("-y", "-t", "chatport_test_tools"), "is not MODULE:NAME"),
        (("-y", "-t", "chatport_test_tools:wether"), "there is no 'wether' in chatport_test_tools"),
        (("-y", "-t", "no_such_module_here:x"), "cannot be loaded: ModuleNotFoundError"),
        (("-y", "-t", "missing.py:x"), "cannot be loaded: FileNotFoundError"),
        (("-y", "-t", "bad.py:x"), "cannot be loaded: ZeroDivisionError: division by zero (bad.py, line 2)"),
        (("-y", "-t", "chatport_test_tools:NUMBER"), "tools[0]"),
    ],
)
def test_a_tool_that_cannot_be_run_is_said_before_anything_is_sent(
    folder: Folder, arguments: tuple[str, ...], words: str
) -> None:
    (folder.path / "bad.py").write_text("x = 1\nx / 0\n", "utf-8")
    done = folder.run("chat", *arguments, "hi")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not folder.emulator.requests


def test_a_file_of_the_folder_stands_in_the_place_of_no_module(folder: Folder) -> None:
    """What lies in a folder that somebody was led into may not be run in the place of what is installed."""
    (folder.path / "colorsys.py").write_text('raise SystemExit("run")', "utf-8")
    done = folder.run("chat", "-y", "-t", "colorsys:rgb_to_hsv", "say: fine")
    assert (done.code, done.out) == (0, "fine\n"), done.err


# --- structures


def test_a_schema_gives_json(folder: Folder) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    (folder.path / "city.json").write_text(json.dumps(schema), "utf-8")
    done = folder.run("chat", "--schema", "city.json", 'say: { "name":  "Zürich" }')
    assert (done.code, done.out) == (0, '{"name":"Zürich"}\n'), done.err
    assert folder.emulator.requests[-1].json()["response_format"]["type"] == "json_schema"
    done = folder.run("chat", "-q", "--schema", "types_here:City", 'say: {"name": "Bonn", "people": 3}')
    assert (done.code, done.out) == (0, '{"name":"Bonn","people":3}\n'), done.err


def test_a_list_is_printed_without_what_is_around_it(folder: Folder) -> None:
    (folder.path / "cities.py").write_text("Cities = list[str]\n", "utf-8")
    done = folder.run("chat", "-q", "--schema", "cities.py:Cities", 'say: {"value": ["Bonn", "Rome"]}')
    assert (done.code, done.out) == (0, '["Bonn","Rome"]\n'), done.err


def test_an_answer_that_does_not_fit_is_no_output(folder: Folder) -> None:
    done = folder.run("chat", "-q", "--schema", "types_here:City", 'say: {"name": 5}')
    assert (done.code, done.out) == (5, "")
    assert '{"name": 5}' in done.err  # it was paid for
    assert len(folder.emulator.requests) == 1
    done = folder.run("chat", "-q", "--retry-invalid", "2", "--schema", "types_here:City", 'say: {"name": 5}')
    assert (done.code, done.out) == (0, '{"name":"text","people":1}\n'), done.err  # told what is wrong, it does better
    assert len(folder.emulator.requests) == 3


def test_a_structure_comes_with_tools_too(folder: Folder) -> None:
    tool = ("-y", "-t", "chatport_test_tools:weather")
    prompt = 'call: weather {"city": "x"}\nsay: {"name": "Bonn", "people": 3}'
    done = folder.run("chat", "-q", *tool, "--schema", "types_here:City", prompt)
    assert (done.code, done.out) == (0, '{"name":"Bonn","people":3}\n'), done.err
    assert len(folder.emulator.requests) == 2


# --- refusals


@pytest.mark.parametrize("more", [(), ("--no-stream",), ("--schema", "types_here:City"), ("--json",)])
def test_a_refusal_is_seen_and_has_its_exit_code(folder: Folder, more: tuple[str, ...]) -> None:
    done = folder.run("chat", "-q", *more, "refuse: I will not say that.")
    assert done.code == 6
    if "--json" not in more:
        assert not done.out.strip()
        assert "I will not say that." in done.err
    assert "The model refuses." in done.err


# --- embeddings


class Embedding(VendorEmulator):
    """A server that embeds: the vector of a text is its length, as often as is asked for."""

    def routes(self) -> Mapping[str, Callable[[EmulatedRequest], EmulatedResponse]]:
        return {**super().routes(), "/embeddings": lambda request: self.reply(200, self._embedded(self.read(request)))}

    def _embedded(self, body: Mapping[str, Any]) -> dict[str, Any]:
        vectors = [[len(text) / 8] * body.get("dimensions", 2) for text in body["input"]]
        data = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        return {"model": body["model"], "data": data, "usage": {"prompt_tokens": 7, "total_tokens": 7}}


def test_embed_gives_a_vector_for_each_text(folder: Folder) -> None:
    folder.emulator.vendor = Embedding()
    model = ("-m", "acme:acme-fast")
    done = folder.run("embed", *model, "one", "two")
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [(line["index"], line["text"]) for line in lines] == [(0, "one"), (1, "two")]
    assert [line["vector"] for line in lines] == [[0.375, 0.375]] * 2
    assert "2 vectors · 7 tokens" in done.err
    (folder.path / "lines.txt").write_text("three\n\n  \nfour\n", "utf-8")
    done = folder.run("embed", "-q", *model, "--file", "lines.txt", "--dimensions", "4")
    assert [json.loads(line)["text"] for line in done.out.splitlines()] == ["three", "four"]
    assert not done.err
    assert [len(json.loads(line)["vector"]) for line in done.out.splitlines()] == [4, 4]
    done = folder.run("embed", "-q", *model, stdin="five\nsix\n")
    assert [json.loads(line)["text"] for line in done.out.splitlines()] == ["five", "six"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("-m", "acme:acme-fast"), None, "No text."),
        (("-m", "acme:acme-fast"), "\n \n", "all lines are empty"),
        (("-m", "acme:acme-fast", "--file", "missing"), None, "Cannot read missing: No such file"),
        (("text",), None, "Missing option '-m'"),
        (("-m", "nobody:x", "text"), None, "No provider is called"),
    ],
)
def test_embed_says_what_it_lacks(folder: Folder, arguments: tuple[str, ...], stdin: str | None, words: str) -> None:
    done = folder.run("embed", *arguments, stdin=stdin)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not folder.emulator.requests
