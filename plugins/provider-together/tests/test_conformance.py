"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("together", quirks=70, context_unknown={"MiniMaxAI/MiniMax-M2.5": "no source was found"})
