"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("deepseek", quirks=94)
TestResponses = conformance("deepseek", protocol="responses")
