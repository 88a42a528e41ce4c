"""The suite that every provider runs, for both protocols (DS-N1)."""

from chatport.testing.conformance import conformance

TestConformance = conformance("deepseek", quirks=94)
TestResponses = conformance("deepseek", protocol="responses")
