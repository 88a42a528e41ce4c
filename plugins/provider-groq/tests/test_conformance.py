"""The suite that every provider runs, for both protocols (GQ-E1)."""

from chatport.testing.conformance import conformance

TestConformance = conformance("groq", quirks=79)
TestResponses = conformance("groq", protocol="responses")
