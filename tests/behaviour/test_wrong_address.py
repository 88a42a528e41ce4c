"""A base URL that is a little wrong: the error says where was asked, and what it should be, over real connections."""

from __future__ import annotations

from typing import Any

import pytest

import chatport

from .adapter import BACKENDS, open_runner
from .raw_server import Connection, RawServer, head

PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1><hr>nginx</body></html>"
KEY = "sk-never-in-an-error-text"


def not_here(connection: Connection) -> None:
    while connection.request():
        connection.send(head(404, content_type="text/html", content_length=len(PAGE)) + PAGE)


def configured(base_url: str) -> dict[str, Any]:
    provider = {"kind": "compatible", "base_url": base_url, "api_key": KEY}
    return {"providers": {"x": provider}, "model": "x:m", "retry": {"attempts": 3, "first_seconds": 0.001}}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_base_url_without_its_version_is_told(backend: str) -> None:
    with RawServer(not_here) as server:
        wrong = server.base_url.removesuffix("/v1")
        with open_runner(backend, configured(wrong)) as runner:
            for ask in (runner.chat, runner.stream):
                with pytest.raises(chatport.ModelNotFoundError) as caught:
                    ask("hello")
                text = str(caught.value)
                assert f"(asked: {wrong}/chat/completions)" in text
                assert caught.value.advice == f"Is base_url right? It is {wrong}; probably it should be {wrong}/v1."
                assert KEY not in text
        assert len(server.requests) == 2, "it is not tried again"


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_endpoint_given_for_a_base_url_is_told(backend: str) -> None:
    with RawServer(not_here) as server:
        wrong = f"{server.base_url}/chat/completions"
        with (
            open_runner(backend, configured(wrong)) as runner,
            pytest.raises(chatport.ModelNotFoundError, match="probably it should be") as caught,
        ):
            runner.chat("hello")
    assert caught.value.advice.endswith(f"probably it should be {server.base_url}.")
