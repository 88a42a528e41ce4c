"""A 404 for an address where nothing answers says which it was, and what the base URL was probably meant to be."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chatport import errors as e
from chatport.call import Context
from chatport.decoding.failures import error_of, failure_of
from chatport.errors import ChatportError
from chatport.facts import Facts
from chatport.provider import Provider
from chatport.standard.wrong_path import meant_base_url, shown_address

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NGINX = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1><hr>nginx</body></html>"


def lost(
    status: int, body: Any, base_url: str = "https://h.example", *, provider: Provider | None = None
) -> ChatportError:
    context = Context(provider or Provider("p", "Acme", base_url), "some-model", base_url)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    failure = failure_of(status, {}, "response", content, "")
    return error_of(failure, None, context, NOW, asked=f"{base_url}/chat/completions?api-key=hidden")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, NGINX),
        (404, b"404 page not found"),
        (404, b"Not Found"),
        (404, b""),
        (404, "404 page not found"),
        (404, {"detail": "Not Found"}),
        (404, {"message": "Not Found"}),
        (404, {"error": "Not Found"}),
        (404, {"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}),
        (404, {"error": {"code": "404", "message": "Resource not found"}}),
        (404, {"error": {"message": "Invalid URL (POST /v1/v1/chat/completions)", "type": "invalid_request_error"}}),
        (404, {"message": "no Route matched with those values"}),
        (404, {"error_msg": "Not Found. Please check the configuration."}),
        (404, {"errors": [{"code": 7000, "message": "No route for that URI"}]}),
        (404, {"timestamp": "x", "status": 404, "error": "Not Found", "path": "/chat/completions"}),
        (404, b"<pre>Cannot POST /chat/completions</pre>"),
        (404, {"error": "Unknown endpoint"}),
        (404, {"message": "The requested URL was not found on the server."}),
        (405, {"detail": "Method Not Allowed"}),
        (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
    ],
)
def test_nothing_at_an_address_is_told_with_it(status: int, body: Any) -> None:
    """Which address was asked, without its query; and the base URL, as it is and as it should be."""
    error = lost(status, body)
    assert "(asked: https://h.example/chat/completions)" in str(error)
    assert error.advice == "Is base_url right? It is https://h.example; probably it should be https://h.example/v1."
    assert str(error).endswith(error.advice)
    assert "hidden" not in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"message": "The model `some-model` does not exist", "code": "model_not_found"}}),
        (404, {"error": {"message": "model: some-model", "type": "not_found_error"}}),
        (404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}}),
        (404, {"error": {"message": "some-model: not found"}}),
        (404, [{"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}}]),
        (404, {"error": {"message": "No endpoints found that support image input", "code": "404"}}),
        (404, b"model 'some-model' not found, try pulling it first"),
        (404, {"error": {"message": "Previous response with id 'x' not found."}}),
        (400, {"detail": "Not Found"}),
        (403, NGINX),
        (500, NGINX),
    ],
)
def test_another_refusal_says_nothing_of_addresses(status: int, body: Any) -> None:
    error = lost(status, body)
    assert "asked" not in str(error)
    assert "base_url" not in str(error)


def test_an_unknown_model_and_an_unknown_path_are_one_class() -> None:
    """A later target may do for both, and neither passes by itself."""
    assert isinstance(lost(404, NGINX), e.ModelNotFoundError)
    assert not lost(404, NGINX).retryable


@pytest.mark.parametrize(
    ("base_url", "usual", "meant"),
    [
        ("https://h.example", "", "https://h.example/v1"),
        ("https://h.example/", "", "https://h.example/v1"),
        ("https://h.example/api", "", "https://h.example/api/v1"),
        ("https://h.example/v1", "", "https://h.example"),
        ("https://h.example/v1/", "", "https://h.example"),
        ("https://h.example/api/v1beta", "", "https://h.example/api"),
        ("https://h.example/v1/v1", "", "https://h.example/v1"),
        ("https://h.example/v1/chat/completions", "", "https://h.example/v1"),
        ("https://h.example/v1/models", "", "https://h.example/v1"),
        ("http://127.0.0.1:8000?key=s", "", "http://127.0.0.1:8000/v1"),
        ("https://proxy.example", "https://api.acme.example/openai/v1", "https://proxy.example/openai/v1"),
        ("https://proxy.example/openai/v1", "https://api.acme.example/openai/v1", "https://proxy.example/openai"),
    ],
)
def test_the_base_url_that_was_meant(base_url: str, usual: str, meant: str) -> None:
    assert meant_base_url(base_url, usual) == meant


def test_an_address_is_shown_without_what_may_hold_keys() -> None:
    assert shown_address("https://user:pass@h.example:8/v1/x?api-version=1&key=s#f") == "https://h.example:8/v1/x"


def test_where_the_vendor_usually_is_nothing_else_is_guessed() -> None:
    """The path of the vendor's own address is advised for another host, and no other for its own."""
    known = Provider("p", "Acme", "https://api.acme.example/openai/v1", facts=Facts("p", ""))
    assert lost(404, NGINX, known.base_url, provider=known).advice == "This is the address that p usually has."
    moved = lost(404, NGINX, "https://proxy.example", provider=known)
    assert moved.advice.endswith("probably it should be https://proxy.example/openai/v1.")
