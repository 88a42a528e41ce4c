"""The suite that every provider runs, for both of this package's."""

from chatport.testing.conformance import conformance

TestGemini = conformance("gemini", quirks=83)
TestVertex = conformance("vertex", quirks=83)
