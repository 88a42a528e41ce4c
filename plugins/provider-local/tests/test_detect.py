"""Which server is behind an address: small servers on this machine that answer as each of them does."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatport import Client, TransportError
from chatport.provider import Discovery
from chatport.testing import EmulatedRequest, EmulatedResponse, Emulator
from chatport_local import detect
from chatport_local.detect import base_url_of, discover, discover_for, find_all, identify

Serve = Callable[..., int]
PROVIDERS = ("vllm", "ollama", "lmstudio", "llamacpp", "mistralrs", "transformers", "mlx", "local")


def get_time(zone: str) -> str:
    """Tell the time."""
    return zone


def vendor(provider: str, **settings: Any) -> Any:
    return Emulator(provider, **settings).vendor


def json_at(pages: dict[str, str], headers: dict[str, str] | None = None, otherwise: int = 404) -> Any:
    """Return a server that has these pages only."""

    def respond(request: EmulatedRequest) -> EmulatedResponse:
        page = pages.get(request.path)
        found = {"content-type": "application/json", **(headers or {})}
        return EmulatedResponse(otherwise if page is None else 200, found, [(page or "{}").encode()])

    return respond


@pytest.mark.parametrize(
    ("provider", "settings", "models"),
    [
        ("vllm", {}, ("emulated-model", "second-alias")),  # D3
        ("vllm", {"api_key": "secret"}, ()),  # D2: /version stays open
        ("ollama", {}, ("plain:1b", "emulated-model:latest")),  # D2, OL-B2, OL-M1: in memory first
        ("lmstudio", {}, ("second-model", "emulated-model")),  # D2, LM-M2: the same
        ("llamacpp", {}, ("emulated-model",)),  # D2
        ("llamacpp", {"api_key": "secret"}, ()),  # D2, LC-B2
        ("llamacpp", {"loading": True}, ()),  # LC-B3
        ("mistralrs", {}, ("emulated-model",)),  # D2, MR-M1
        ("transformers", {}, ()),  # its list may be empty
        ("mlx", {}, ("emulated-model",)),  # D2
        ("local", {}, ("emulated-model",)),  # D2, D3: llama-cpp-python
    ],
)
def test_a_server_gives_itself_away(
    provider: str, settings: dict[str, Any], models: tuple[str, ...], serve: Serve
) -> None:
    twin = vendor(provider, **settings)
    version = "HTTP/1.0" if provider == "mlx" else "HTTP/1.1"
    port = serve(twin.respond, version=version)
    more = {"server": "llama-cpp-python"} if provider == "local" else {}
    assert identify("127.0.0.1", port) == Discovery(provider, f"http://127.0.0.1:{port}/v1", models, more)
    assert all(request.method == "GET" for request in twin.requests)
    assert all("authorization" not in request.headers for request in twin.requests)


@pytest.mark.parametrize(
    ("provider", "respond"),
    [
        # The marks that the twins above do not need, one at a time.
        ("llamacpp", json_at({"/v1/models": '{"data":[{"id":"a","owned_by":"llamacpp"}]}'})),  # D3
        ("llamacpp", json_at({"/v1/models": "{}", "/props": '{"total_slots":1,"build_info":"b1"}'})),  # D2
        ("local", json_at({"/v1/models": '{"data":[{"id":"a","owned_by":"me"}]}'})),  # D3
        ("local", json_at({"/openapi.json": '{"info":{"title":"the llama.cpp Python API"}}'})),  # D2
        ("mistralrs", json_at({"/api-doc/openapi.json": '{"openapi":"3.1.0"}'})),  # D2
        ("lmstudio", json_at({}, {"x-powered-by": "Express"})),  # D5, below
        ("local", json_at({"/v1/models": '{"data":[{"id":"a","owned_by":"sglang"}]}'})),  # D1: known only as compatible
    ],
)
def test_each_mark_is_enough(provider: str, respond: Any, serve: Serve) -> None:
    if provider == "lmstudio":  # 200 and an error, whatever the path

        def respond(request: EmulatedRequest) -> EmulatedResponse:
            text = f'{{"error":"Unexpected endpoint or method. (GET {request.path})"}}'
            return EmulatedResponse(200, {"content-type": "application/json"}, [text.encode()])

    found = identify("127.0.0.1", serve(respond))
    assert found is not None
    assert found.provider == provider


@pytest.mark.parametrize(
    "respond",
    [
        json_at({}),  # a web server
        json_at({}, otherwise=200),  # D5: a 200 for everything proves nothing
        lambda request: EmulatedResponse(200, {"content-type": "text/html"}, [b"<html>Ollama is running wild</html>"]),
        lambda request: EmulatedResponse(200, {"content-type": "application/json"}, [b"[1, 2]"]),
        lambda request: EmulatedResponse(401, {"www-authenticate": "Basic"}, [b""]),
        lambda request: EmulatedResponse(302, {"location": "http://127.0.0.1:9/v1/models"}, [b""]),
        lambda request: EmulatedResponse(200, {}, [b'{"data": "none", "info": 3, "paths": 7}']),
    ],
)
def test_another_kind_of_server_is_none(respond: Any, serve: Serve) -> None:
    assert identify("127.0.0.1", serve(respond)) is None


def test_a_python_web_server_is_not_taken_for_mlx(serve: Serve) -> None:
    respond = json_at({}, {"server": "BaseHTTP/0.6 Python/3.11.7"})
    assert identify("127.0.0.1", serve(respond, version="HTTP/1.0")) is None


@contextmanager
def listening() -> Iterator[int]:
    """Accept connections on a free port, and never say anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_what_never_answers_is_none() -> None:
    with listening() as port:
        assert identify("127.0.0.1", port, timeout_seconds=0.05) is None


def test_a_closed_port_is_none() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and not listening: nobody else can have it
        assert identify("127.0.0.1", closed.getsockname()[1]) is None


def test_what_breaks_off_is_none() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def hang_up() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.sendall(b"not http at all\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert identify("127.0.0.1", listener.getsockname()[1]) is None
        thread.join()


def test_all_servers_are_found_and_the_first_with_a_model_is_taken(serve: Serve) -> None:
    keyed = serve(vendor("vllm", api_key="secret").respond)
    ollama = serve(vendor("ollama").respond)
    other = serve(json_at({}))
    hosts = [f"127.0.0.1:{port}" for port in (keyed, other, ollama)]
    assert [found.provider for found in find_all(hosts)] == ["vllm", "ollama"]
    taken = discover(hosts)
    assert taken is not None
    assert taken.provider == "ollama"
    without_models = discover(hosts[:2])
    assert without_models is not None
    assert without_models.provider == "vllm"
    assert discover(hosts[1:2]) is None
    assert discover([]) is None


def test_the_usual_ports_are_tried_in_order(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """D1."""
    assert detect.PORTS == (11434, 1234, 8080, 8000, 30000)
    ports = (serve(vendor("llamacpp").respond), serve(vendor("ollama").respond))
    monkeypatch.setattr(detect, "PORTS", ports)
    assert [found.provider for found in find_all()] == ["llamacpp", "ollama"]
    assert [found.provider for found in find_all(["localhost", "127.0.0.1", "0.0.0.0"])] == ["llamacpp", "ollama"]


def test_the_provider_looks_where_it_is_told(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    port = serve(vendor("ollama").respond)
    monkeypatch.setattr(detect, "PORTS", ())
    assert discover_for({}) == []
    for hosts in (f"127.0.0.1:{port}", [f"http://127.0.0.1:{port}/v1"]):
        assert [found.base_url for found in discover_for({"hosts": hosts})] == [f"http://127.0.0.1:{port}/v1"]
    assert [found.provider for found in discover_for({"ollama_host": f"0.0.0.0:{port}"})] == ["ollama"]  # OL-B1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("localhost", "http://127.0.0.1:11434/v1"),
        ("[::]:5000", "http://[::1]:5000/v1"),
        (":5000", "http://127.0.0.1:5000/v1"),
        ("gpu", "http://gpu:11434/v1"),
        ("http://gpu:5000", "http://gpu:5000/v1"),
        ("https://gpu.example/", "https://gpu.example:443/v1"),
        ("[::1]:5000", "http://[::1]:5000/v1"),
    ],
)
def test_where_ollama_listens_is_where_it_is_called(host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OL-B1."""
    assert base_url_of(host, 11434) == url
    monkeypatch.setenv("OLLAMA_HOST", host)
    assert Client(config={}).explain("hi", model="ollama:m").url == f"{url}/chat/completions"


@pytest.mark.parametrize("name", PROVIDERS)
def test_local_auto_speaks_to_whatever_runs(name: str, serve: Serve) -> None:
    """The server that was found decides the dialect; the model is its first one."""
    settings = {"models": ("emulated-model:latest",)} if name == "ollama" else {}
    twin = vendor(name, **settings)
    port = serve(twin.respond, version="HTTP/1.0" if name == "mlx" else "HTTP/1.1")
    with Client(config={"providers": {"local": {"hosts": f"127.0.0.1:{port}"}}}) as client:
        model = "local:auto" if name != "transformers" else "local:./emulated-model"  # its list is empty
        assert client.chat("say: yes", model=model, reasoning="none").text == "yes"
        request = client.explain("hi", model=model, tools=[get_time], tool_choice="get_time", reasoning="none")
    body = twin.requests[-1].json()
    assert body["model"] in twin.models
    assert request.body.get("tool_choice") == {
        "llamacpp": "required", "lmstudio": "required", "ollama": None, "transformers": None, "mlx": None,
    }.get(name, {"type": "function", "function": {"name": "get_time"}})  # fmt: skip


def test_local_with_nothing_running_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "PORTS", ())
    with Client(config={}) as client, pytest.raises(TransportError, match="no server answers"):
        client.chat("hi", model="local:auto")


def test_models_that_cannot_chat_are_left_out(serve: Serve) -> None:
    names = ("bge-m3", "nomic-embed-text:latest", "whisper-1", "BAAI/bge-reranker", "begemoth-7b", "qwen3:8b")
    found = identify("127.0.0.1", serve(vendor("vllm", models=names).respond))
    assert found is not None
    assert found.models == ("begemoth-7b", "qwen3:8b")


def test_the_real_llamacpp_server_is_told(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "demo"))
    try:
        import llamacpp_server
        import tiny_model
    finally:
        sys.path.pop(0)
    if not llamacpp_server.available():
        pytest.skip("xllamacpp is not installed")
    tiny_model.write_gguf(tmp_path / "tiny.gguf")
    with llamacpp_server.running_llamacpp(tmp_path / "tiny.gguf") as server:
        assert discover([server.base_url]) == Discovery("llamacpp", server.base_url, ("tiny-scripted",))
    with llamacpp_server.running_llamacpp(tmp_path / "tiny.gguf", api_key="secret") as server:
        assert discover([server.base_url]) == Discovery("llamacpp", server.base_url)
