"""The key goes into a header of the request, and shows nowhere else."""

from __future__ import annotations

import traceback

import pytest

from ...errors import ChatportError
from ...setup.origins import is_own_host
from .subject import ConformanceTests

__all__ = ["SecrecyTests"]

CANARY = "canary-key-0123456789abcdef"


class SecrecyTests(ConformanceTests):
    """A key of our own making goes in, and is searched for in all that comes out."""

    def test_a_vendor_is_reached_over_https_and_named(self) -> None:
        it, url = self.subject, self.subject.provider.base_url
        it.check(it.provider.title, "Provider.title", it.name, "it has no title for messages")
        if url and not url.startswith("http://127.0.0.1"):
            it.check(url.startswith("https://"), "Provider.base_url", url, "the address is not https")
            it.check(is_own_host(it.provider, url), "Provider.hosts", url, "the address is not the vendor's own")

    def test_the_key_shows_nowhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        it = self.subject
        for variable in it.provider.key_env:  # a hook that looks for the key itself finds this one
            monkeypatch.setenv(variable, CANARY)
        emulator = it.emulator(api_key=CANARY)
        client = it.client(emulator)
        shown = {"repr(client)": repr(client)}
        explanation = client.explain("hi", model=it.target)
        shown |= {"str(explanation)": str(explanation), "repr(explanation)": repr(explanation)}
        reply = client.chat("say: hi", model=it.target)
        shown |= {"repr(reply)": repr(reply)}
        try:
            client.chat("error: 401", model=it.target)
        except ChatportError as error:
            shown |= {"str(error)": str(error), "error.raw": repr(error.raw)}
            shown["the traceback"] = "".join(traceback.format_exception(error))
        for place, text in shown.items():
            it.check(CANARY not in text, "all hooks", place, "the key shows here", "a hook never needs the key")
        sent = emulator.requests
        in_header = any(CANARY in value for request in sent for value in request.headers.values())
        it.check(in_header, "Provider.auth", "a call with a key", "the key was not sent in a header")
        for request in sent:
            path, body = CANARY not in request.path, CANARY.encode() not in request.content
            it.check(path, "Provider.auth", "a call with a key", "the key was sent in the URL", "send it in a header")
            it.check(body, "shape_request", "a call with a key", "the key was sent in the body", "leave it to the core")
