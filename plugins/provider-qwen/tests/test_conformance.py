"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("qwen", quirks=93, context_unknown={"*": "of many models no source says it"})
