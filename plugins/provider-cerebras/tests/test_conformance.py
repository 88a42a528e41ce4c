"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("cerebras", quirks=83)
TestSeeing = conformance("cerebras", model="qwen-3.8-27b")
