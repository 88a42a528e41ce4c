"""What others wrote directs no terminal, wherever it is cut; what is ordinary stays as it is."""

from __future__ import annotations

import json
import pickle
import traceback
from unicodedata import category

import pytest

import chatport
from chatport.basics.display import clean, clean_json, one_line
from chatport.testing import replay
from chatport.types import Adjustment

ORDINARY = [
    "plain, with a\ttab\nand lines\n",
    "👩‍👩‍👧‍👦 👍🏽 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️",  # joiners, a skin, tags, a variation
    "שלום עולם \u200e(a)\u200f, مرحبا نمی\u200cشود",
    "e\u0301\u0323 ก็ நி \u00ad soft",
    "non\u00a0breaking \ufffd",
]
SEQUENCES = {
    "clear screen": "\x1b[2J\x1b[H",
    "clipboard (OSC 52)": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "link (OSC 8)": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "title, with C1": "\x9d0;title\x9c",
    "colour, with C1": "\x9b31mred\x9b0m",
    "device status": "\x1b[6n",
    "backspace": "safe\b\b\b\bevil",
    "delete": "a\x7fb",
    "bell, shift, nul": "\a\x0e\x0f\0",
    "vertical": "\v\f",
    "half a pair": "\ud83d \ude00",
    "override": "access\u202e\u2066// check\u2069 \u2066",
}


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("text", SEQUENCES.values(), ids=SEQUENCES)
def test_what_directs_a_terminal_is_shown_and_not_done(text: str) -> None:
    shown = clean(text)
    assert shown.isprintable()
    if "\\" not in text:
        assert shown.encode().decode("unicode_escape") == text  # it can be read what it was
    assert "".join(map(clean, text)) == shown  # cut anywhere


def test_a_carriage_return_writes_over_nothing() -> None:
    assert clean("harmless\rrm -rf ~") == "harmlessrm -rf ~"
    assert clean("a\r\nb") == clean("a\r") + clean("\nb") == "a\nb"


@pytest.mark.parametrize("text", [*ORDINARY, *SEQUENCES.values(), "\r\n"])
def test_json_for_a_terminal_says_the_same(text: str) -> None:
    value = {text: [text]}
    shown = clean_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(shown) == value
    assert not any(category(c) in ("Cc", "Cs") or "\u202a" <= c <= "\u202e" for c in shown)


@pytest.mark.parametrize("text", [*ORDINARY, *SEQUENCES.values(), "a\r\nb\u2028c"])
def test_a_name_is_one_line(text: str) -> None:
    assert not any(category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in one_line(text))


def test_a_long_text_is_cut() -> None:
    assert one_line("a" * 50, 10) == "a" * 9 + "…"
    assert len(one_line("\x1b" * 50, 10)) == 10


# --- the texts of our own errors and warnings, which quote what others wrote


@pytest.mark.parametrize("text", [*SEQUENCES.values(), "line\nforged: line"])
def test_an_error_says_it_in_one_line(text: str) -> None:
    error = chatport.ServerError(text, provider=text, model=text, status=500, code=text, request_id=text)
    said = str(error)
    assert not any(category(c) in ("Cc", "Cf", "Cs") for c in said)
    assert error.message == text  # nothing is lost
    assert str(pickle.loads(pickle.dumps(error))) == said
    shown = "".join(traceback.format_exception(error)).replace("\n", "")
    assert not any(category(c) in ("Cc", "Cf", "Cs") for c in shown)


def test_an_errors_text_is_bounded() -> None:
    long = "\x1b" * 1_000_000
    error = chatport.ServerError(long, provider=long, model=long, status=500, code=long, request_id=long)
    assert len(str(error)) < 10_000


@pytest.mark.parametrize("text", SEQUENCES.values(), ids=SEQUENCES)
def test_a_warning_says_it_in_one_line(text: str) -> None:
    said = str(Adjustment("invalid", f"tool_calls[0].{text}", f"is {text}" + "a" * 10_000))
    assert not any(category(c) in ("Cc", "Cf", "Cs") for c in said)
    assert len(said) <= 2000


def test_a_vendors_words_reach_a_traceback_without_their_controls() -> None:
    body = json.dumps({"error": {"message": SEQUENCES["clipboard (OSC 52)"], "code": SEQUENCES["clear screen"]}})
    with pytest.raises(chatport.ServerError) as caught:
        replay("compatible", status=500, body=body, stream=False)
    shown = "".join(traceback.format_exception(caught.value))
    assert "\x1b" not in shown
    assert "\\x1b]52;c;" in shown
