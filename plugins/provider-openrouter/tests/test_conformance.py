"""The suite that every provider runs, for both protocols (OR-E1)."""

from chatport.testing.conformance import conformance

_WINDOW = {"*": "it differs from endpoint to endpoint of one model; the list of models says it"}

TestConformance = conformance("openrouter", quirks=110, context_unknown=_WINDOW)
TestResponses = conformance("openrouter", protocol="responses", context_unknown=_WINDOW)
