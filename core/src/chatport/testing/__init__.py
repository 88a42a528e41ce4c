"""What Chatport offers tests: recorded bytes decoded with no network, and each vendor's twin to talk to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emulator import EmulatedRequest, EmulatedResponse, Refusal, Script, VendorEmulator, example_of, sse
    from .recordings import decode_events, replay
    from .server import Emulator

__all__ = [
    "EmulatedRequest", "EmulatedResponse", "Emulator", "Refusal", "Script", "VendorEmulator", "decode_events",
    "example_of", "replay", "sse",
]  # fmt: skip

_HOMES = {
    "emulator": (
        "EmulatedRequest",
        "EmulatedResponse",
        "Refusal",
        "Script",
        "VendorEmulator",
        "example_of",
        "sse",
    ),
    "recordings": ("decode_events", "replay"),
    "server": ("Emulator",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module 'chatport.testing' has no attribute {name!r}")
