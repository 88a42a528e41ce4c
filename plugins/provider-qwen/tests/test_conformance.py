"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

_HOSTED = "another vendor's model: no source says what it is on this host"
TestConformance = conformance(
    "qwen", quirks=93, context_unknown={"deepseek-v3.2": _HOSTED, "MiniMax/MiniMax-M3": _HOSTED}
)
