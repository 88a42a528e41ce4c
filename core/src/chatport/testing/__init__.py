"""What Chatport offers tests: recorded bytes and exchanges with no network, and each vendor's twin to talk to."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answers import Answer, NoAnswerError
    from .batches import BatchesEmulator, BatchPlay, EmulatedBatch, read_form
    from .clock import VirtualClock
    from .emulator import (
        EmulatedRequest,
        EmulatedResponse,
        Misfit,
        Refusal,
        Script,
        VendorEmulator,
        chosen_name,
        example_of,
        functions_of,
        list_of,
        parts_of,
        sse,
        table_of,
        text_of,
    )
    from .faults import Fault
    from .performance import Break, Pause, Performance, Scene
    from .recordings import decode_events, replay
    from .server import Emulator
    from .tapes.errors import TapeMissError, TapeUnusedError
    from .tapes.tape import Tape

__all__ = [
    "Answer", "BatchPlay", "BatchesEmulator", "Break", "EmulatedBatch", "EmulatedRequest", "EmulatedResponse",
    "Emulator", "Fault", "Misfit", "NoAnswerError", "Pause", "Performance", "Refusal", "Scene", "Script", "Tape",
    "TapeMissError", "TapeUnusedError", "VendorEmulator", "VirtualClock", "chosen_name", "decode_events",
    "example_of", "functions_of", "list_of", "parts_of", "read_form", "replay", "sse", "table_of", "text_of",
]  # fmt: skip

_HOMES = {
    "answers": ("Answer", "NoAnswerError"),
    "batches": ("BatchPlay", "BatchesEmulator", "EmulatedBatch", "read_form"),
    "clock": ("VirtualClock",),
    "emulator": (
        "EmulatedRequest",
        "EmulatedResponse",
        "Misfit",
        "Refusal",
        "Script",
        "VendorEmulator",
        "chosen_name",
        "example_of",
        "functions_of",
        "list_of",
        "parts_of",
        "sse",
        "table_of",
        "text_of",
    ),
    "faults": ("Fault",),
    "performance": ("Break", "Pause", "Performance", "Scene"),
    "recordings": ("decode_events", "replay"),
    "server": ("Emulator",),
    "tapes.errors": ("TapeMissError", "TapeUnusedError"),
    "tapes.tape": ("Tape",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module 'chatport.testing' has no attribute {name!r}")
