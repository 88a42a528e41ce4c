"""The AI SDK: the same loop by its clients of Responses (from a store, and without), Messages and chat completions."""

from ..recipe import DONE, Recipe, shell_loop
from .javascript import program

RECIPE = Recipe(
    title="AI SDK (Node)",
    npm=(
        "ai@7.0.173",
        "@ai-sdk/openai@4.0.118",
        "@ai-sdk/anthropic@4.0.105",
        "@ai-sdk/openai-compatible@3.0.92",
        "zod@4.6.7",
    ),
    node="22.23.3",
    told="ai-sdk",
    place="told.mjs",
    command=program("ai_sdk.mjs"),
    steps=[*shell_loop("shell"), DONE] * 4,
)
