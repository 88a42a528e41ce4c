"""The suite that every provider runs, over each of the protocols."""

from chatport.testing.conformance import conformance

_ON_CHAT = tuple(f"grok-{name}" for name in ("4.7", "4.5", "4.3", "4.20-0309-reasoning", "4.20-0309-non-reasoning"))

TestEach = conformance("xai", quirks=82)
TestResponses = conformance("xai", protocol="responses")
TestChat = conformance("xai", models=_ON_CHAT, protocol="chat")
