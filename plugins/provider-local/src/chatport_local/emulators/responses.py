"""What the local servers that serve Responses have in common there (RS-V12 to RS-V15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatport.testing import EmulatedResponse, Script
from chatport_responses.emulator import ResponsesEmulator

from . import LocalEmulator

__all__ = ["PLAIN_ITEMS", "LocalResponsesEmulator"]

PLAIN_ITEMS = ("message", "function_call", "function_call_output", "reasoning")
"""The items that a server knows which makes a chat of them."""


class LocalResponsesEmulator(ResponsesEmulator, LocalEmulator):
    """A server that makes a chat of the items, refuses what it refuses there, and shows what the model thinks."""

    stores = False
    reasoning_as_text = True
    ignores_unknown = True
    least_output = 1
    longest_call_id = None

    def respond_to_items(self, body: Mapping[str, Any]) -> EmulatedResponse:
        return super().respond_to_items({**body, "model": body.get("model") or self.models[0]})

    def check_model_of_items(self, body: Mapping[str, Any]) -> None:
        """Leave it to `check`."""

    def check_request(self, body: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        self.check(view)

    def response(
        self, body: Mapping[str, Any], view: Mapping[str, Any], script: Script, output: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        return {**super().response(body, view, script, output), "model": self.answers_as(body)}
