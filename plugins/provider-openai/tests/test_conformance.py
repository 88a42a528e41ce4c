"""The suite that every provider runs, for both protocols (OA-E2)."""

from chatport.testing.conformance import conformance

_WINDOW = {"gpt-5.5-pro": "no page that we know tells it"}

TestChat = conformance("openai", model="gpt-6-sol", protocol="chat", quirks=132, context_unknown=_WINDOW)
TestResponses = conformance("openai", model="gpt-6-sol", protocol="responses", context_unknown=_WINDOW)
TestEach = conformance("openai", model="gpt-6-sol", context_unknown=_WINDOW)
