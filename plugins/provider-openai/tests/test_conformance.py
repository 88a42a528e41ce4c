"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("openai", model="gpt-6-sol", quirks=132)
