"""The conformance suite catches what it is there to catch, and says it so that an author knows what to change."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from chatport import (
    BadRequestError,
    Client,
    FinishReported,
    PluginError,
    Provider,
    TextDelta,
    Verdict,
    hookimpl,
)
from chatport.facts import Facts, ModelEntry, Price, RetiredModel
from chatport.testing import Emulator, VendorEmulator, replay, sse
from chatport.testing.conformance import conformance
from chatport.testing.conformance.quirk_table import QuirkTableTests
from chatport.testing.pytest_plugin import provider_fixtures

MODEL = ModelEntry("acme-*", {"context_tokens": 1000, "input": ["text"]}, source="acme.example, 2026-11-22")
FACTS = Facts("acme", "2026-11-22", (MODEL,))


class AcmeEmulator(VendorEmulator):
    """A vendor without a quirk."""

    name = "acme"
    models = ("acme-large",)


ACME = Provider(
    name="acme",
    title="Acme",
    base_url="https://api.acme.example/v1",
    key_env=("ACME_API_KEY",),
    facts=FACTS,
    emulator=f"{__name__}:AcmeEmulator",
)


def suite(*hooks: Any, facts: Facts = FACTS) -> Any:
    """Return the suite of Acme with these hooks or facts."""
    return conformance(attrs.evolve(ACME, hooks=hooks, facts=facts))()


def failure_of(run: Callable[[], object]) -> str:
    """Return the text of the failure that a test of the suite ends in."""
    with pytest.raises(pytest.fail.Exception) as caught:
        run()
    return str(caught.value)


TestAcme = conformance(ACME)
"""A value that no package registers passes the suite: whatever fails below fails for what was broken."""


def test_a_hook_that_changes_the_call_is_caught() -> None:
    class Changes:
        @staticmethod
        @hookimpl(wrapper=True)
        def shape_request(call: Any) -> Generator[None, Any, Any]:
            wire = yield
            for tool in call.tools:
                tool.schema.setdefault("additionalProperties", False)
            return wire

    broken = suite(Changes)
    text = failure_of(broken.test_a_request_is_shaped_the_same_each_time_and_the_call_is_not_changed)
    assert text.startswith("acme: the call was changed")
    assert "hook:   shape_request" in text
    assert "change: make a new value" in text


def test_a_hook_that_remembers_is_caught() -> None:
    class Remembers:
        calls = 0

        @hookimpl(wrapper=True)
        def shape_request(self) -> Generator[None, Any, Any]:
            wire = yield
            self.calls += 1
            return wire.set("serial", self.calls)

    text = failure_of(suite(Remembers()).test_a_request_is_shaped_the_same_each_time_and_the_call_is_not_changed)
    assert text.startswith("acme: the same call gave another request")
    assert "Call(" in text


def test_a_decoder_that_keeps_its_state_outside_is_caught() -> None:
    class Mixes:
        seen = 0

        @hookimpl(wrapper=True)
        def decode_chunk(self, chunk: Any) -> Generator[None, Any, Any]:
            events = yield
            self.seen += 1
            return [event for event in events if not isinstance(event, TextDelta) or self.seen % 2]

    text = failure_of(suite(Mixes()).test_chunks_are_not_changed_and_streams_do_not_mix)
    assert text.startswith("acme: two streams in turns got mixed up")
    assert "hook:   decode_chunk" in text


def test_a_decoder_that_changes_its_chunk_is_caught() -> None:
    class Pops:
        @staticmethod
        @hookimpl(tryfirst=True)
        def decode_chunk(chunk: Any) -> None:
            if chunk.raw != b"[DONE]":
                chunk.data.pop("model", None)

    text = failure_of(suite(Pops).test_chunks_are_not_changed_and_streams_do_not_mix)
    assert text.startswith("acme: the chunk's data were changed")


def test_a_cut_stream_that_is_taken_as_whole_is_caught() -> None:
    class Invents:
        @staticmethod
        @hookimpl(wrapper=True)
        def decode_chunk() -> Generator[None, Any, Any]:
            events = yield
            return (*events, FinishReported("stop", None)) if any(isinstance(e, TextDelta) for e in events) else events

    text = failure_of(lambda: suite(Invents).test_a_stream_that_is_cut_is_never_a_whole_answer("text"))
    assert "a part was taken for the whole answer" in text
    assert "acme: ended at byte " in text
    assert "change: report FinishReported only for a finish that the vendor has sent" in text


class EndsWithTextEmulator(AcmeEmulator):
    """A vendor whose last piece of text has the finish beside it."""

    def stream(self, body: Any, script: Any) -> Iterator[bytes]:
        """Give the pieces of the text, the last one with the end."""
        *pieces, last = self.cut(script.text)
        for piece in pieces:
            yield sse(self.chunk(body, [self.choice({"content": piece})]))
        yield sse(self.chunk(body, [self.choice({"content": last}, script.finish)]))
        yield b"data: [DONE]\n\n"


def test_an_end_beside_the_last_piece_is_no_loss() -> None:
    """Without the event that has both, what came before it is what must be there."""
    acme = attrs.evolve(ACME, emulator=f"{__name__}:EndsWithTextEmulator")
    conformance(acme)().test_an_answer_without_an_end_is_broken_off()


def test_a_key_in_the_body_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaks:
        @staticmethod
        @hookimpl(wrapper=True)
        def shape_request() -> Generator[None, Any, Any]:
            wire = yield
            return wire.set("user", os.environ["ACME_API_KEY"])

    text = failure_of(lambda: suite(Leaks).test_the_key_shows_nowhere(monkeypatch))
    assert text.startswith("acme: the key shows here")
    assert "canary" not in text


def test_an_option_the_vendor_refuses_is_caught() -> None:
    class Sends:
        @staticmethod
        @hookimpl(wrapper=True)
        def shape_request() -> Generator[None, Any, Any]:
            wire = yield
            return wire.discard("messages")

    text = failure_of(lambda: suite(Sends).test_no_option_makes_the_vendor_refuse({"seed": 7}))
    assert text.startswith("acme: BadRequestError: ")
    assert "input:  {'seed': 7}" in text
    assert "change: drop or lower what the vendor does not take" in text


def test_a_wrong_class_and_a_wrong_retry_are_caught() -> None:
    class Misreads:
        @staticmethod
        @hookimpl
        def classify_error() -> Verdict:
            return Verdict(BadRequestError, retryable=True)

    broken = suite(Misreads)
    assert "BadRequestError, and not AuthenticationError" in failure_of(broken.test_every_status_has_its_class)
    final = failure_of(
        broken.test_every_error_the_emulator_knows_is_one_class_and_nothing_final_is_tried_again,
    )
    assert final.startswith("acme: BadRequestError is final and would be tried again")


def test_a_hook_that_trusts_every_body_is_caught() -> None:
    class Trusts:
        @staticmethod
        @hookimpl
        def classify_error(failure: Any) -> None:
            failure.data["error"]["message"].lower()

    text = failure_of(suite(Trusts).test_unknown_errors_are_errors_of_ours)
    assert "A classify_error hook of acme failed" in text
    assert "input:  status 400, body b''" in text


PRICE = Price("acme-*", 1.0, 2.0, source="acme.example, 2026-11-22")
OLD = RetiredModel("acme-1", "2026-05-01", "acme-2", source="acme.example, 2026-11-22")


@pytest.mark.parametrize(
    ("facts", "test", "said"),
    [
        ({"models": (attrs.evolve(MODEL, source=""),)}, "every_fact_has_a_source", "models: acme-*"),
        ({"date": "soon"}, "every_fact_has_a_source", "'soon' is no date"),
        ({"prices": (attrs.evolve(PRICE, since="May"),)}, "every_fact_has_a_source", "'May' is no date"),
        ({"prices": (attrs.evolve(PRICE, currency="$"),)}, "every_price_has_a_currency", "the currency is '$'"),
        ({"prices": (PRICE, PRICE)}, "no_entry_is_hidden", "one entry hides another"),
        ({"models": (MODEL, MODEL)}, "no_entry_is_hidden", "one entry hides another"),
        ({"models": (ModelEntry("*", {"efforts": ["fast"]}, source="x"),)}, "every_effort_is", "['fast']"),
        ({"retired": (OLD, RetiredModel("acme-2", "2026-06-01", "acme-1"))}, "every_succession_ends", "a circle"),
        ({"models": (ModelEntry("other-*", {}, source="x"),)}, "every_model_of_the_emulator", "no entry of `models`"),
        ({"models": (ModelEntry("*", {}, source="x"),)}, "every_model_of_the_emulator", "context window is not known"),
    ],
)
def test_gaps_in_the_facts_are_caught(facts: dict[str, Any], test: str, said: str) -> None:
    broken = suite(facts=attrs.evolve(FACTS, **facts))
    name = next(name for name in dir(broken) if name.startswith(f"test_{test}"))
    text = failure_of(getattr(broken, name))
    assert said in text
    assert "hook:   the facts file" in text


# --- the quirk table

TABLE = "| id | what | source, date | where handled | test |\n|---|---|---|---|---|\n"
GOOD = TABLE + "| XY-E1 | a quirk | doc | errors.py | test_one |\n| XY-E2 | another | doc | — nothing to do | |\n"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Any]:
    """Return the suite of a package with this README."""

    def made(readme: str, *, quirks: int | None = None, code: str = "# XY-E1\n") -> Any:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))  # each is read once
        for name, text in {
            "pyproject.toml": "",
            "README.md": readme,
            "src/acme/errors.py": code,
            "tests/test_acme.py": "def test_one():\n    ...\n",
        }.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
        broken = conformance(ACME, quirks=quirks)()
        broken.package = folder
        return broken

    return made


def problems(broken: Any) -> Iterator[str]:
    """Give what the tests of the quirk table say."""
    for name in (name for name in vars(QuirkTableTests) if name.startswith("test_")):
        try:
            getattr(broken, name)()
        except pytest.fail.Exception as failure:
            yield str(failure)


def test_a_true_table_passes(table: Callable[..., Any]) -> None:
    assert list(problems(table(GOOD, quirks=2))) == []
    both = GOOD.replace("— nothing to do | |", "errors.py | test_one |")
    assert list(problems(table(both, code="# XY-E1 to XY-E2\n"))) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("XY-E2", "XY-E1", "XY-E1: it has two rows"),
        ("| another |", "| |", "not five cells with the first four filled"),
        ("errors.py", "request.py", "XY-E1: there is no request.py"),
        ("XY-E1", "XY-E9", "XY-E1: cited, and not in the table"),
        ("XY-E1", "XY-E9", "XY-E9: it is cited nowhere"),
        ("test_one", "test_two", "XY-E1: there is no test_two"),
        ("test_one", "", "XY-E1: it is handled, and no test is named"),
        ("test_one", "test_acme.py", "XY-E1: test_acme.py does not cite it"),
        ("— nothing to do", "—", "XY-E2: it is not handled, and no reason is given"),
    ],
)
def test_an_untrue_table_is_caught(table: Callable[..., Any], old: str, new: str, said: str) -> None:
    texts = list(problems(table(GOOD.replace(old, new))))
    assert any(said in text for text in texts), texts
    assert all("acme: the quirk table of README.md is not true" in text for text in texts)


def test_a_lost_row_is_caught_and_no_table_is_a_skip(table: Callable[..., Any]) -> None:
    assert any("quirks=3" in text for text in problems(table(GOOD, quirks=3)))
    with pytest.raises(pytest.skip.Exception, match=r"README.md has no quirk table"):
        table("# Acme\n").test_the_quirk_table_is_whole()


# --- a provider that is not installed

isolated, explain, notes, emulated = provider_fixtures(ACME)


def test_a_provider_value_works_everywhere_a_name_does(explain: Any, notes: Any, emulated: Any) -> None:
    client, emulator = emulated()
    assert client.chat("say: hi", model="acme:acme-large").text == "hi"
    assert emulator.provider == "acme"
    request = explain(max_tokens=5, stop=["a"])
    assert request.body["model"] == "acme-large"
    assert notes(request) == set()
    body = b'{"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}]}'
    assert replay(ACME, body=body, stream=False).provider == "acme"
    with Emulator(ACME) as served, Client(config=served.config(), providers=[ACME]) as real:
        assert real.chat("say: hi", model="acme:acme-large").text == "hi"


def test_a_provider_value_goes_before_an_installed_one_and_serves_a_second_account() -> None:
    own = attrs.evolve(ACME, name="deepseek")
    config = {"providers": {"deepseek": {"api_key": "k"}, "second": {"kind": "deepseek", "api_key": "k"}}}
    with Client(config=config, providers=[own]) as client:
        assert client.explain("hi", model="deepseek:m").url.startswith("https://api.acme.example/")
        assert client.explain("hi", model="second:m").url.startswith("https://api.acme.example/")


def test_what_is_no_provider_value_is_refused() -> None:
    with pytest.raises(PluginError, match=r"chatport.Provider values, not a str"):
        Client(providers=["acme"])  # type: ignore[list-item]  # what is tested
    with pytest.raises(PluginError, match="two that are called 'acme'"):
        Client(providers=[ACME, ACME])
