"""No key gets onto a tape, and none is needed to play it."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given, strategies as st

import chatport
from chatport.decoding.redaction import cover_key, hide_key
from chatport.engine.commands import HttpRequest
from chatport.testing import Emulator, Fault, Tape

from .tapes import KEY, Nobody, outcome_of, record, ways

# --- keys


def plays(body: Callable[[bytes], list[bytes]], **headers: str) -> Fault:
    """Return a fault that answers with a body made of the vendor's."""

    def play(scene: Any) -> Any:
        performance = scene.with_body(body(scene.response.body))
        return attrs.evolve(performance, headers={**performance.headers, **headers})

    return Fault("echo", play)


def in_pieces(*cuts: int, text: str = KEY) -> Callable[[bytes], list[bytes]]:
    """Put a text into an answer, and cut the whole at places inside it."""

    def body(whole: bytes) -> list[bytes]:
        whole = whole.replace(b"alpha", json.dumps(text)[1:-1].encode() if "\\" not in text else text.encode(), 1)
        at = whole.index(text[:3].encode())
        edges = [0, *(at + cut for cut in cuts), len(whole)]
        return [whole[start:end] for start, end in itertools.pairwise(edges)]

    return body


def spelled(whole: bytes) -> list[bytes]:
    """Let the deltas of a stream spell the key, some characters each."""
    first, *_ = [event for event in whole.split(b"\n\n") if b"alpha" in event]
    parts = [KEY[start : start + 5] for start in range(0, len(KEY), 5)]
    deltas = [first.replace(b"alpha", part.encode()) + b"\n\n" for part in parts]
    return [*deltas, *[event + b"\n\n" for event in whole.split(b"\n\n") if event]]


def gzipped(whole: bytes) -> list[bytes]:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(whole.replace(b"alpha", KEY.encode())) + packer.flush()
    return [packed[:40], packed[40:]]


ECHOES = {
    "as it is": plays(in_pieces()),
    "over two pieces": plays(in_pieces(7)),
    "over many pieces": plays(in_pieces(*range(1, len(KEY)))),
    "escaped": plays(in_pieces(9, text=KEY.replace("/", "\\/").replace("+", "\\u002b"))),
    "spelled by deltas": plays(spelled),
    "spelled, behind a line that is no JSON": plays(lambda whole: [b': "odd \n\n', *spelled(whole)]),
    "compressed": plays(gzipped, **{"content-encoding": "gzip"}),
    "in headers": plays(in_pieces(), **{"x-request-id": KEY, "set-cookie": KEY, "server": f"for {KEY}"}),
}
FORMS = (KEY, KEY.replace("/", "\\/"), KEY[:10], KEY[-10:], "real-key")


@pytest.mark.parametrize("echo", ECHOES)
@ways
def test_no_key_gets_into_the_file_wherever_a_vendor_echoes_it(way: str, echo: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Tape(path, mode="record", transport=Emulator("compatible", faults=[ECHOES[echo]])) as tape:
        recorded = outcome_of(way, tape)
    assert recorded.error is None
    text = path.read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    joined = "".join(line.get("text", "") for line in lines if "request" not in line)
    told = "".join(json.loads(data)["choices"][0]["delta"].get("content") or ""
                   for data in joined.split("data: ") if '"delta"' in data)  # fmt: skip
    assert told
    for shown in (text, joined, told):
        assert not [form for form in FORMS if form in shown]
    with Tape(path, transport=Nobody()) as tape:
        again = outcome_of(way, tape)
    assert again.error is None
    assert len("".join(again.seen)) == len("".join(recorded.seen)) or echo == "escaped"


def test_only_listed_headers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    headers = {"set-cookie": "session=1", "openai-organization": "org-1", "x-mine": "yes", "x-request-id": "req-9"}
    emulator = Emulator("compatible", faults=[plays(lambda whole: [whole], **headers)])
    with Tape(path, mode="record", transport=emulator, keep_headers=["X-Mine"]) as tape:
        outcome_of("sync", tape)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines[1]["headers"] == {"accept": "text/event-stream", "content-type": "application/json"}
    assert lines[2]["headers"] == {"content-type": "text/event-stream", "x-mine": "yes", "x-request-id": "req-9"}


def test_a_query_keeps_its_names_and_listed_values(tmp_path: Path) -> None:
    path, secret = tmp_path / "a.jsonl", chatport.Secret("a-secret-of-a-query")
    query = "http://127.0.0.1:9/v1/models?tenant=acme&api-version=2026-01-01&more="
    request = HttpRequest("GET", query, (), b"", secret_query=(("key", secret),))
    with Tape(path, mode="record", transport=Emulator("compatible", needs_key=False)) as tape:
        tape.send(request, None, None).close()
    asked = json.loads(path.read_text("utf-8").splitlines()[1])["request"]
    assert asked == "GET http://localhost/v1/models?api-version=2026-01-01&key=***&more=***&tenant=***"
    played = Tape(path).send(attrs.evolve(request, secret_query=(("key", chatport.Secret("another")),)), None, None)
    assert played.head.status == 200


def test_secrets_that_are_given_are_hidden_in_requests_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record(path, "say: the password is hunter2-hunter2", secrets=["hunter2-hunter2", "short"])
    assert "hunter2" not in path.read_text("utf-8")
    with Tape(path, secrets=["hunter2-hunter2"]) as tape:
        assert outcome_of("sync", tape, messages="say: the password is hunter2-hunter2").error is None


def test_a_tape_shows_no_key(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "a.jsonl", mode="record", transport=Emulator("compatible"), secrets=[KEY])
    outcome_of("sync", tape)
    assert repr(tape) == f"<chatport.testing.Tape {tmp_path / 'a.jsonl'} recording>"
    assert KEY not in repr(vars(tape)) + repr(vars(tape._recorder))


@ways
@pytest.mark.parametrize(
    "key", [None, {"env": "NO_SUCH_VARIABLE"}, {"command": ["no-such-program"]}, {"function": lambda: 1 / 0}],
    ids=["none", "variable", "command", "function"],
)  # fmt: skip
def test_a_replay_needs_no_key_and_reads_none(way: str, key: Any, tmp_path: Path) -> None:
    provider = attrs.evolve(
        chatport.Provider("keyed", "Keyed", "https://llm.example/v1"), key_env=("NO_SUCH_VARIABLE",)
    )
    emulator = Emulator(provider)
    table = {"api_key": KEY}

    def call(transport: Any, table: dict[str, Any]) -> str:
        options: dict[str, Any] = {"transport": transport, "providers": [provider]}
        config = {"providers": {"keyed": {**table, "query": {"key": {"env": "NO_SUCH_VARIABLE"}}}}}
        if transport.is_recording:
            config["providers"]["keyed"]["query"] = {"key": "a-secret-of-a-query"}
        if way == "sync":
            with chatport.Client(config, **options) as client:
                return client.chat("say: hi", model="keyed:emulated-model").text

        async def main() -> str:
            async with chatport.AsyncClient(config, **options) as client:
                return (await client.chat("say: hi", model="keyed:emulated-model")).text

        return anyio.run(main, backend=way)

    with Tape(tmp_path / "a.jsonl", mode="record", transport=emulator) as tape:
        assert call(tape, table) == "hi"
    with Tape(tmp_path / "a.jsonl", transport=Nobody()) as tape:
        assert call(tape, {} if key is None else {"api_key": key}) == "hi"


PARTS = (KEY, KEY[:14], KEY.replace("/", "\\/"), "sk-not", "/", "\\", "%2F", "&amp;", " a ", '"')


@given(st.lists(st.sampled_from(PARTS)))
def test_covering_keeps_every_place(parts: list[str]) -> None:
    """As long as it was, with nothing left to hide, and unchanged where no key stands."""
    text = "".join(parts)
    covered = cover_key(text, KEY)
    assert len(covered) == len(text)
    assert KEY not in covered
    assert all(now in (before, "*") for before, now in zip(text, covered, strict=True))
    assert (covered == text) == (hide_key(text, KEY) == text)
