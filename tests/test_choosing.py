"""`chatport prices` and `chatport compare`: vendors chosen by figures, from the command line."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import chatport
import chatport.cli
from chatport.cli.columns import beside, wrapped
from chatport.cli.compare_page import page_of
from chatport.cli.comparing import Compared, compare
from chatport.testing import Emulator, Script, VendorEmulator, faults

from .test_terminal import HOSTILE, is_fit

KEY = "emulated-key-1234"
A, B = "deepseek:deepseek-flash", "openai:gpt-5.6-luna"


class Done(NamedTuple):
    """What a command has left behind."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Runs `chatport` in this process, as a user in a folder does who names the file `named.toml`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._patch = monkeypatch
        self._captured = capfd
        for name in [name for name in os.environ if name.startswith(("LLM_", "CHATPORT_", "BASE_URL"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("CHATPORT_CONFIG", "named.toml")
        monkeypatch.setenv("COLUMNS", "100")

    def __call__(self, folder: Path, *arguments: str, stdin: str = "") -> Done:
        self._patch.chdir(folder)
        self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        with pytest.raises(SystemExit) as left:
            chatport.cli.main(list(arguments))
        code = left.value.code
        return Done(code if isinstance(code, int) else 1, *self._captured.readouterr())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capfd)


def write_config(folder: Path, more: str = "", **emulators: Emulator) -> None:
    tables = []
    for name, emulator in emulators.items():
        kind = "" if name in ("deepseek", "openai") else 'kind = "compatible"\n'
        tables.append(f'[providers.{name}]\n{kind}base_url = "{emulator.base_url}"\napi_key = "{KEY}"\n')
    (folder / "named.toml").write_text("".join(tables) + "[retry]\nattempts = 1\n" + more, "utf-8")


@pytest.fixture
def vendors(tmp_path: Path) -> Iterator[dict[str, Emulator]]:
    with Emulator("deepseek", api_key=KEY) as deepseek, Emulator("openai", api_key=KEY) as openai:
        write_config(tmp_path, deepseek=deepseek, openai=openai)
        yield {"deepseek": deepseek, "openai": openai}


# --- prices


def test_the_prices_of_every_installed_provider_are_one_list(tmp_path: Path, run: Shell) -> None:
    write_config(tmp_path, "[budget]\nrates = { CNY = 0.14 }\n")
    done = run(tmp_path, "prices", "--json", "--cached", "0.5")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({row["target"].partition(":")[0] for row in rows}) > 10
    amounts = [row["cost"]["amount"] for row in rows if row["cost"]]
    assert amounts == sorted(amounts)
    assert {row["cost"]["currency"] for row in rows if row["cost"]} == {"USD"}
    assert all(row["source"] and row["date"] for row in rows if row["cost"])
    flash = next(row for row in rows if row["target"] == A)
    assert flash["listed"]["currency"] == "CNY"
    assert flash["cost"]["amount"] == pytest.approx(flash["listed"]["amount"] * 0.14)
    assert not done.stderr.strip()  # no provider was left out


def test_they_are_filtered_by_ability_provider_and_policy(tmp_path: Path, run: Shell) -> None:
    write_config(tmp_path)
    asked = ("prices", "-p", "mistral", "-p", "groq", "--json", "--input", "100", "--output", "10")
    rows = [json.loads(line) for line in run(tmp_path, *asked).stdout.splitlines()]
    assert {row["target"].partition(":")[0] for row in rows} == {"mistral", "groq"}
    seeing = [json.loads(line) for line in run(tmp_path, *asked, "--needs", "tools,images").stdout.splitlines()]
    assert 0 < len(seeing) < len(rows)
    allowed = run(tmp_path, *asked, "--allow-region", "KP")
    assert (allowed.returncode, allowed.stdout) == (0, "")


def test_the_table_has_rates_window_abilities_and_source(tmp_path: Path, run: Shell) -> None:
    write_config(tmp_path)
    done = run(tmp_path, "prices", "-p", "deepseek", "--rate", "CNY=0.14")
    row = next(line for line in done.stdout.splitlines() if A in line)
    assert row.strip().startswith("$0.0")
    for shown in (" CNY", "1.05M", "tools", "2026-"):
        assert shown in row
    assert "2,000 tokens in" in done.stderr
    without = run(tmp_path, "prices", "-p", "deepseek")
    assert "(¥" in without.stdout
    assert "there is no rate for CNY" in without.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--needs", "tool"), "Did you mean 'tools'"),
        (("--rate", "CNY"), "--rate is like CNY=0.14"),
        (("--provider", "nobody"), "No provider is called 'nobody'"),
        (("--cached", "50"), "from 0 to 1"),
        (("--allow-region", "Mars"), "is no region"),
    ],
)
def test_what_cannot_be_meant_of_prices_is_said(
    tmp_path: Path, run: Shell, arguments: tuple[str, ...], words: str
) -> None:
    write_config(tmp_path)
    done = run(tmp_path, "prices", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


# --- compare


def test_answers_and_figures_stand_side_by_side(tmp_path: Path, run: Shell, vendors: dict[str, Emulator]) -> None:
    done = run(tmp_path, "compare", "-m", A, "-m", B, "say: good day to you")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split(" │ ")[0].strip() == A
    assert lines[0].split(" │ ")[1].strip() == B
    shown = "\n".join(lines)
    assert shown.count("good day to you") == 2
    for figure in ("first token: ", "in all: ", "speed: ", "tokens: ", "cost: ¥", "cost: $"):
        assert figure in shown
    assert all(len(emulator.requests) == 1 for emulator in vendors.values())


def test_a_program_gets_them_as_json_in_the_order_of_the_models(
    tmp_path: Path, run: Shell, vendors: dict[str, Emulator]
) -> None:
    done = run(tmp_path, "compare", "-m", B, "-m", A, "-m", B, "--json", stdin="say: from the pipe")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["model"] for row in rows] == [B, A, B]
    assert {row["text"] for row in rows} == {"from the pipe"}
    for row in rows:
        assert row["error"] is None
        assert 0 < row["first_seconds"] <= row["seconds"]
        assert row["usage"]["output_tokens"] > 0
        assert row["cost"]["amount"] > 0


def test_one_that_fails_leaves_the_others_their_answers(
    tmp_path: Path, run: Shell, vendors: dict[str, Emulator]
) -> None:
    done = run(tmp_path, "compare", "-m", A, "-m", "openai:none-such", "--json", "say: fine")
    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 0
    assert good["text"] == "fine"
    assert bad["error"]["error"] == "ModelNotFoundError"
    assert (bad["text"], bad["cost"], bad["first_seconds"]) == ("", None, None)
    assert "ModelNotFoundError" in run(tmp_path, "compare", "-m", A, "-m", "openai:none-such", "say: x").stdout


def test_where_nobody_answers_the_code_is_that_of_the_first_error(
    tmp_path: Path, run: Shell, vendors: dict[str, Emulator]
) -> None:
    done = run(tmp_path, "compare", "-m", A, "-m", B, "error: 503")
    assert done.returncode == 4
    assert "OverloadedError" in done.stderr
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-m", A, "-m", "nobody:x", "hi"), "No provider is called 'nobody'"),
        (("-m", A, "-m", "no-alias", "hi"), "No alias is called"),
        (("-m", A, "--html", "nowhere/page.html", "hi"), "There is no folder"),
        (("-m", A), "No message"),
        (("hi",), "Missing option"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_sent(
    tmp_path: Path, run: Shell, vendors: dict[str, Emulator], arguments: tuple[str, ...], words: str
) -> None:
    done = run(tmp_path, "compare", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not any(emulator.requests for emulator in vendors.values())


def test_options_and_warnings_are_those_of_each_target(
    tmp_path: Path, run: Shell, vendors: dict[str, Emulator]
) -> None:
    asked = ("compare", "-m", A, "-m", B, "-s", "Be short.", "--max-tokens", "40", "--temperature", "0.3", "say: x")
    done = run(tmp_path, *asked)
    bodies = [emulator.requests[-1].json() for emulator in vendors.values()]
    assert all(body["messages"][0]["content"] == "Be short." for body in bodies)
    assert {body.get("max_tokens") or body.get("max_completion_tokens") for body in bodies} == {40}
    warned = json.loads(run(tmp_path, *asked, "--json").stdout.splitlines()[1])["warnings"]
    assert any("temperature" in warning for warning in warned)
    assert f"{B}: " in done.stderr
    assert "temperature" in done.stderr


def test_all_are_asked_at_once(tmp_path: Path) -> None:
    """Each answer waits until the other has been asked for too: one after the other, neither would ever come."""
    both = threading.Barrier(2, timeout=20)

    class Patient(VendorEmulator):
        models = ("m",)

        def script(self, body: Mapping[str, Any]) -> Script:
            both.wait()
            return Script("together")

    emulators = [Emulator("compatible"), Emulator("compatible")]
    for emulator in emulators:
        emulator.vendor = Patient()
    with emulators[0] as one, emulators[1] as two:
        write_config(tmp_path, one=one, two=two)
        rows = compare(["one:m", "two:m"], [chatport.Message.user("hi")], tmp_path / "named.toml", {})
    assert [row.reply.text for row in rows] == ["together", "together"]


def test_what_came_before_a_cut_is_kept(tmp_path: Path) -> None:
    with Emulator("deepseek", api_key=KEY, faults=[faults.cut(after_events=6)]) as emulator:
        write_config(tmp_path, deepseek=emulator)
        (row,) = compare([A], [chatport.Message.user("say: one two three")], tmp_path / "named.toml", {})
    assert isinstance(row.error, chatport.StreamInterruptedError)
    assert row.reply.text or row.reply.reasoning
    assert row.first_seconds is not None


def test_speed_counts_what_was_written_while_it_was_seen() -> None:
    """From the first piece to the end; thoughts that nobody was shown were thought before the first piece."""

    def speed(seconds: float, first: float | None, pieces: int, **reply: Any) -> float | None:
        return Compared("m", chatport.Reply(**reply), seconds, first, pieces).tokens_per_second

    usage = chatport.Usage(10, 100, reasoning_tokens=60)
    assert speed(3.0, 1.0, 9, usage=usage) == 20.0
    assert speed(3.0, 1.0, 9, usage=usage, reasoning="hm") == 50.0
    assert speed(3.0, 1.0, 1, usage=usage) is None
    assert speed(3.0, None, 0, usage=usage) is None
    assert speed(3.0, 1.0, 9) is None


# --- the page


class Page(HTMLParser):
    """What a page is made of: its tags, their attributes, and the text outside of the style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.shown = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.shown += data


def test_the_page_is_one_file_and_loads_nothing(tmp_path: Path, run: Shell, vendors: dict[str, Emulator]) -> None:
    done = run(tmp_path, "compare", "-m", A, "-m", B, "--html", "page.html", "say: good day")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert page.shown.count("good day") >= 3  # the message, and two answers
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert not {"src", "href", "onload", "onerror"} & set(page.attributes)
    assert "default-src 'none'" in text
    assert "://" not in text.replace("http-equiv", "")
    for readable in ("prefers-color-scheme: dark", "width=device-width", "color-scheme: light dark"):
        assert readable in text


def test_nothing_that_others_wrote_is_more_than_text_on_it() -> None:
    evil = f"</style><script>alert(1)</script><img src=x onerror=alert(2)>\"' {HOSTILE}"
    reply = chatport.Reply(
        evil,
        evil,
        (chatport.ToolCall("1", evil, evil),),
        refusal=evil,
        provider="p",
        model=evil,
        warnings=(chatport.Adjustment("dropped", evil, evil),),
    )
    error = chatport.ServerError(evil)
    text = page_of(evil, [Compared(evil, reply, 1.0, 0.5, 3, error)])
    page = Page(text)
    assert page.open == []
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "tr", "th", "td", "article",
        "details", "summary",
    }  # fmt: skip
    assert page.shown.count("<script>alert(1)</script>") >= 8
    assert is_fit(text)


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path, run: Shell, vendors: dict[str, Emulator]) -> None:
    done = run(tmp_path, "compare", "-m", A, "--html", f"{'x' * 300}.html", "say: x")
    assert done.returncode == 1
    assert "Cannot write" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_no_word_of_a_vendor_directs_the_terminal(tmp_path: Path, run: Shell, more: tuple[str, ...]) -> None:
    class Hostile(VendorEmulator):
        models = ("m",)

        def script(self, body: Mapping[str, Any]) -> Script:
            return Script(text=HOSTILE, calls=((HOSTILE, "{}"),), finish=HOSTILE)

    emulator = Emulator("compatible", api_key=KEY)
    emulator.vendor = Hostile()
    with emulator:
        write_config(tmp_path, x=emulator)
        done = run(tmp_path, "compare", "-m", "x:m", *more, "hi")
    assert is_fit(done.stdout), done.stdout
    assert is_fit(done.stderr), done.stderr
    if more:
        assert json.loads(done.stdout)["text"] == HOSTILE
    else:
        assert "ok" in done.stdout


# --- columns


def test_columns_are_as_wide_as_what_a_terminal_shows() -> None:
    """A Chinese character takes two places, a mark above a letter none."""
    lines = list(beside(["你好世界" * 10, "e\u0301" * 30 + " word " * 10], 63))
    assert [line.index("│") for line in lines[:2]] == [16, 16]  # 15 characters are 30 places
    assert lines[0].endswith("e\u0301" * 30)
    assert "".join(line.split("│")[0].strip() for line in lines) == "你好世界" * 10


@pytest.mark.parametrize("width", [1, 5, 30])
def test_wrapping_loses_nothing(width: int) -> None:
    text = "A line with words, andaverylongword.\n\n  indented\ttab and 长的中文文本没有空格所以必须断开 end"
    lines = list(wrapped(text, width))
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) <= max(width, 1) for line in lines)


def test_where_there_is_no_room_they_stand_below_one_another() -> None:
    assert list(beside(["one", "two"], 40)) == ["one", "", "two", ""]
