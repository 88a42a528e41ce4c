"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance("siliconflow", quirks=69, context_unknown={"*": "of many models no source says it"})
