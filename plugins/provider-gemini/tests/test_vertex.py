"""Vertex: where it is, whose names it takes, and a token that does not live for long."""

from __future__ import annotations

import sys

import anyio
import anyio.lowlevel
import pytest

from chatport import AsyncClient, AuthenticationError, Client, ConfigurationError
from chatport.testing import Emulator

MODEL = "vertex:gemini-3.5-flash"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"project": "p-1"}, "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/endpoints/openapi"),
        (
            {"project": "p-1", "location": "europe-west4"},
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west4/endpoints/openapi",
        ),
        (
            {"project": "p-1", "location": "us-central1", "endpoint": "4567"},
            "https://us-central1-aiplatform.googleapis.com/v1/projects/p-1/locations/us-central1/endpoints/4567",
        ),
        ({"base_url": "https://aiplatform.googleapis.com/v1beta1/x"}, "https://aiplatform.googleapis.com/v1beta1/x"),
    ],
)
def test_addresses(explain_vertex, settings, url):
    """GM-B5, GM-E4"""
    assert explain_vertex(settings=settings).url == f"{url}/chat/completions"


def test_variables(monkeypatch):
    """GM-B7"""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p-2")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west1")
    client = Client({"providers": {"vertex": {"api_key": "t", "user_project": "p-3"}}})
    shown = client.explain("hi", model=MODEL)
    assert shown.url.startswith("https://europe-west1-aiplatform.googleapis.com/v1/projects/p-2/")
    assert shown.headers["x-goog-user-project"] == "p-3"  # GM-B2


@pytest.mark.parametrize(
    "settings",
    [{}, {"project": "p/../x"}, {"project": "p", "location": "evil.example/"}, {"project": "p", "endpoint": "a/b"}],
)
def test_what_is_no_place_is_refused(explain_vertex, settings):
    """GM-B5"""
    with pytest.raises(ConfigurationError, match="vertex: "):
        explain_vertex(settings=settings)


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("gemini-3.5-flash", "google/gemini-3.5-flash"),
        ("google/gemini-3.5-flash", "google/gemini-3.5-flash"),
        ("deepseek-ai/deepseek-v3.2-maas", "deepseek-ai/deepseek-v3.2-maas"),
        ("my-own-endpoint", "my-own-endpoint"),
    ],
)
def test_names_have_a_publisher(explain_vertex, model, sent):
    """GM-E4"""
    assert explain_vertex(model=model, settings={"project": "p"}).body["model"] == sent


def test_what_vertex_has_beside(explain_vertex, notes):
    """GM-P1, GM-W1: the search; what is not supported is ignored there, and told here."""
    shown = explain_vertex(extra={"web_search_options": {}, "parallel_tool_calls": False}, settings={"project": "p"})
    assert shown.body["web_search_options"] == {}
    assert notes(shown) == {("dropped", "parallel_tool_calls", "GM-P2")}


def test_a_token_that_has_run_out_is_fetched_again_once():
    """GM-B6, GM-X15: by a function, and not for every call."""
    emulator = Emulator("vertex", api_key="token-1")
    fetched: list[str] = []

    def fetch() -> str:
        fetched.append(f"token-{len(fetched) + 1}")
        return fetched[-1]

    config = emulator.config()
    config["providers"]["vertex"]["api_key"] = {"function": fetch, "refresh_seconds": 3000}
    with Client(config, transport=emulator) as client:
        assert client.chat("say: a", model=MODEL).text == "a"
        assert client.chat("say: b", model=MODEL).text == "b"
        assert fetched == ["token-1"]
        emulator.vendor.api_key = "token-2"
        reply = client.chat("say: c", model=MODEL)
        assert (reply.text, len(reply.attempts), fetched) == ("c", 2, ["token-1", "token-2"])
        emulator.vendor.api_key = "another"
        with pytest.raises(AuthenticationError):
            client.chat("say: d", model=MODEL)


def test_a_token_by_a_command():
    """GM-B6: such as gcloud auth print-access-token"""
    emulator = Emulator("vertex", api_key="from-a-command")
    config = emulator.config()
    command = [sys.executable, "-c", "print('from-a-command')"]
    config["providers"]["vertex"]["api_key"] = {"command": command, "refresh_seconds": 3000}
    with Client(config, transport=emulator) as client:
        assert client.chat("say: a", model=MODEL).text == "a"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_token_by_an_async_function(backend):
    """GM-B6"""
    emulator = Emulator("vertex", api_key="from-a-loop")

    async def fetch() -> str:
        await anyio.lowlevel.checkpoint()
        return "from-a-loop"

    async def main() -> str:
        config = emulator.config()
        config["providers"]["vertex"]["api_key"] = fetch
        async with AsyncClient(config, transport=emulator) as client:
            return (await client.chat("say: a", model=MODEL)).text

    assert anyio.run(main, backend=backend) == "a"


def test_no_variable_holds_a_token(monkeypatch):
    """GM-B6, GM-B7"""
    monkeypatch.setenv("GOOGLE_API_KEY", "k-1")
    with pytest.raises(ConfigurationError):
        Client({"providers": {"vertex": {"project": "p"}}}).chat("hi", model=MODEL)


def test_places_and_training_are_known():
    """GM-D1, GM-D2"""
    from chatport_gemini import provider, vertex

    def known(value, url):
        host = value.facts.host(url)
        return (host.regions, host.trains)

    assert known(provider, provider.base_url) == (("global",), True)
    assert known(vertex, "https://aiplatform.googleapis.com/v1") == (("global",), False)
    assert known(vertex, "https://europe-west3-aiplatform.googleapis.com/v1") == (("DE",), False)
    assert known(vertex, "https://eu-aiplatform.googleapis.com/v1") == (("EU",), False)
    assert vertex.facts.retired == ()  # GM-K2: its days differ
