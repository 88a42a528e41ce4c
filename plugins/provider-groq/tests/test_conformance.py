"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("groq", quirks=79)
TestResponses = conformance("groq", protocol="responses")
