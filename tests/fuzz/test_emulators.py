"""Whatever comes, an emulator answers as a vendor would: never with a crash, and never with a 500 of its own making."""

from __future__ import annotations

import http.client
import json
import socket
from functools import cache
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from chatport import Provider
from chatport.plugins.registry import load_provider
from chatport.testing import Emulator, VendorEmulator, example_of

from .any_requests import check_answer, plausible, post, requests

PROVIDERS = ("compatible", *sorted({found.name for found in entry_points(group="chatport.providers")}))
OF_FACTS = ("deepseek", "qwen", "glm", "groq", "openai", "fireworks")
FAILS_ON_WRONG_REQUESTS = ("llamacpp", "transformers", "local")
"""LC-T7, TS-E1, LP-E1: a 500 is what these servers answer to a wrong request."""


@cache
def twin(name: str) -> Emulator:
    """Return a provider's emulator, or one made of its facts alone."""
    if not name.startswith("facts of "):
        return Emulator(name)
    provider: Provider = load_provider(name.removeprefix("facts of "))
    return Emulator(attrs.evolve(provider, emulator=None))


@cache
def choices(name: str) -> tuple[tuple[str, dict[str, Any]], ...]:
    return tuple(plausible(twin(name)))


@pytest.mark.parametrize("name", [*PROVIDERS, *(f"facts of {name}" for name in OF_FACTS)])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_request_gets_an_answer_of_the_vendors_kind(name: str, data: st.DataObject) -> None:
    path, body = data.draw(requests(choices(name)))
    asked = isinstance(body, dict) and "error: " in json.dumps(body)  # the client told it to fail
    check_answer(post(twin(name), body, path), may_fail=asked or name in FAILS_ON_WRONG_REQUESTS)
    twin(name).requests.clear()


DEEP = b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
WIDE = {"type": "array", "minItems": 10**9, "items": {"type": "array", "minItems": 10**9}}
LOOP = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}
SELF = {"$ref": "#"}


@pytest.mark.parametrize("schema", [WIDE, LOOP, SELF, True, None, [], {"anyOf": []}, {"type": []}, {"required": 5}])
def test_a_schema_costs_no_more_than_it_should(schema: Any) -> None:
    assert len(json.dumps(example_of(schema))) < 100_000


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("content", [DEEP, b"", b"{", b"null", b"[]", b'{"model": NaN}', b'"\xff"', b"[" * 50])
def test_what_is_no_request_is_refused(name: str, content: bytes) -> None:
    response = post(twin(name), content)
    assert 400 <= response.status < (600 if name in FAILS_ON_WRONG_REQUESTS else 500)


# --- over a port


def raw(emulator: Emulator, text: bytes) -> tuple[int, bytes]:
    """Send bytes, and return status and body of the answer."""
    address = urlsplit(emulator.base_url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=10) as connection:
        connection.sendall(text)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


BODY = json.dumps({"model": "emulated-model", "messages": [{"role": "user", "content": "say: fine"}]}).encode()
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (POST + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY), 200),
        (POST + b"transfer-encoding: chunked\r\n\r\n" + chunks(BODY[:10], BODY[10:]), 200),
        (POST + b"transfer-encoding: chunked\r\n\r\nnonsense\r\n", 400),
        (POST + b"content-length: many\r\n\r\n", 400),
        (POST + b"content-length: -5\r\n\r\n", 400),
        (POST + b"content-length: 0\r\n\r\n", 400),
        (b"PUT /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\ncontent-length: 0\r\n\r\n", 404),
        (b"DELETE /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n\r\n", 404),
    ],
)
def test_any_framing_gets_an_answer(request_text: bytes, status: int) -> None:
    with Emulator("compatible") as emulator:
        assert raw(emulator, request_text)[0] == status


def test_the_mistake_of_an_emulator_is_said_to_be_one(capfd: pytest.CaptureFixture[str]) -> None:
    """An emulator of somebody's own may fail: its user hears whose fault that is, and the connection stays."""

    class Broken(VendorEmulator):
        def usage(self, body: Any, script: Any) -> dict[str, Any]:
            return {"tokens": body["no such field"]}

    with Emulator("compatible") as emulator:
        emulator.vendor = Broken()
        status, answer = raw(emulator, POST + b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY))
    assert status == 500
    assert "The emulator of compatible failed, not your program: KeyError('no such field')" in answer.decode()
    assert "KeyError: 'no such field'" in capfd.readouterr().err
