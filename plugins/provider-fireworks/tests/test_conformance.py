"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("fireworks", quirks=74)
