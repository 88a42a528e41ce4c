"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance(
    "openai",
    model="gpt-6-sol",
    quirks=130,
    context_unknown={"o3": "no source was found", "o1-mini": "no source was found"},
)
