"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

TestConformance = conformance(
    "groq",
    quirks=77,
    context_unknown={
        "qwen/qwen3.8-27b": "no source was found",
        "groq/compound": "a system of several models",
        "allam-2-7b": "no source was found",
    },
)
