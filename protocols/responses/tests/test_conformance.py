"""The suite that every provider runs, for an endpoint that is nothing but the protocol."""

from __future__ import annotations

from chatport import Provider
from chatport.testing import VendorEmulator
from chatport.testing.conformance import conformance
from chatport_responses import protocol
from chatport_responses.emulator import ResponsesEmulator


class AcmeEmulator(ResponsesEmulator, VendorEmulator):
    """A server without anything of its own, which thinks when it is asked to."""

    name = "acme"

    def reasons(self, body: object) -> bool:
        return isinstance(body, dict) and body.get("reasoning_effort") not in (None, "none")


ACME = Provider(
    name="acme",
    title="Acme",
    base_url="https://llm.acme.example/v1",
    protocols=(protocol,),
    emulator=f"{__name__}:AcmeEmulator",
)

TestResponses = conformance(ACME, protocol="responses")
