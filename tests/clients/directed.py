"""Emulated vendors whose model asks for what a recipe says, whatever a client has made of the prompt.

What they refuse, and how they stream, is each vendor's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chatport.plugins.registry import load_provider
from chatport.testing import Emulator, Script, VendorEmulator, functions_of
from chatport_anthropic.emulator import AnthropicEmulator
from chatport_deepseek.emulator import DeepSeekEmulator
from chatport_openai.emulator import OpenAIEmulator
from chatport_qwen.emulator import QwenEmulator

from .recipe import ALL_DONE, DONE, Call, Say, Step

__all__ = ["MODELS", "Directed", "directed"]

MODELS = {
    "openai": "gpt-6-sol",
    "anthropic": "claude-opus-4-8",
    "deepseek": "deepseek-flash",
    "qwen": "qwen3.7-plus",
}


class Directed(VendorEmulator):
    """Takes the next of `steps` for each request that can have it, and is done after them.

    A client's side questions, which bring no tools or others, are answered as ever.
    """

    steps: Sequence[Step] = ()
    taken: Sequence[int] = ()
    """The requests, by their serial numbers, that have had a step each: a vendor may look twice at one of them."""

    def script(self, body: Mapping[str, Any]) -> Script:
        """Return the next step."""
        script = super().script(body)
        names = {function["name"] for function in functions_of(body)}
        wanted = {step.name for step in self.steps if isinstance(step, Call)}
        if wanted and not wanted & names:
            return script
        if self.serial not in self.taken:
            self.taken = (*self.taken, self.serial)
        number = self.taken.index(self.serial)
        step = self.steps[number] if number < len(self.steps) else DONE
        if isinstance(step, Call):
            return attrs.evolve(script, text="", calls=((step.name, step.text),), finish="tool_calls")
        text = step.text if isinstance(step, Say) else _told(body)
        return attrs.evolve(script, text=text, calls=(), finish="stop")


def _told(body: Mapping[str, Any]) -> str:
    """Return the last words, with what the last tool has found."""
    results = [message for message in body["messages"] if message.get("role") in ("tool", "user")]
    found = re.findall(r"found-\d+", json.dumps(results)) or ["nothing"]
    return f"{ALL_DONE.rpartition(' ')[0]} {found[-1]}."


class _OpenAI(OpenAIEmulator, Directed):
    pass


class _Anthropic(AnthropicEmulator, Directed):
    pass


class _DeepSeek(DeepSeekEmulator, Directed):
    pass


class _Qwen(QwenEmulator, Directed):
    pass


_CLASSES = {"openai": _OpenAI, "anthropic": _Anthropic, "deepseek": _DeepSeek, "qwen": _Qwen}


def directed(vendor: str, steps: Sequence[Step]) -> Emulator:
    """Return a vendor's emulator, to be served, that takes these steps."""
    provider = attrs.evolve(load_provider(vendor), emulator=f"{__name__}:{_CLASSES[vendor].__name__}")
    return Emulator(provider, steps=steps)
