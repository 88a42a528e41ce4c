"""The suite that every provider runs: over the Agent API, and over the Orchestrator's chat completions."""

import attrs

from chatport.plugins.registry import load_provider
from chatport.testing.conformance import conformance

_WINDOW = dict.fromkeys(
    ("perplexity/*", "anthropic/*", "fast", "low", "medium", "*high"), "no page of the vendor tells it"
)
_ORCHESTRATOR = attrs.evolve(load_provider("perplexity"), emulator="chatport_perplexity.emulator:OrchestratorEmulator")

TestEach = conformance("perplexity", quirks=77, context_unknown=_WINDOW)
TestResponses = conformance("perplexity", protocol="responses", context_unknown=_WINDOW)
TestChat = conformance(_ORCHESTRATOR, model="openai/gpt-6-astra", protocol="chat", context_unknown=_WINDOW)
