"""The suite that every provider runs."""

from chatport.testing.conformance import conformance

# Neither the vendor's page on reasoning models nor anomalyco/models.dev (both read 2026-11-22) has a number for these.
_UNKNOWN = (
    "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-Omni-30B-A3B-Instruct", "deepseek-ai/DeepSeek-V3",
    "deepseek-ai/DeepSeek-V3.1", "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "deepseek-ai/DeepSeek-V4-Flash",
)  # fmt: skip
TestConformance = conformance(
    "siliconflow", quirks=70, context_unknown=dict.fromkeys(_UNKNOWN, "neither the vendor nor models.dev says it")
)
