"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("together", quirks=70)
