"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance(
    "fireworks",
    quirks=72,
    context_unknown={"*/deepseek-v4-flash": "no source was found", "*/llama-v3p1-8b-instruct": "no source was found"},
)
