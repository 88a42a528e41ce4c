"""The AI SDK: the same loop by its clients of Responses, Messages and chat completions."""

from ..recipe import DONE, Recipe, shell_loop
from .javascript import program

RECIPE = Recipe(
    title="AI SDK (Node)",
    npm=(
        "ai@6.0.325",
        "@ai-sdk/openai@3.0.141",
        "@ai-sdk/anthropic@3.0.140",
        "@ai-sdk/openai-compatible@2.0.92",
        "zod@4.6.7",
    ),
    told="ai-sdk",
    place="told.mjs",
    command=program("ai_sdk.mjs"),
    steps=(*shell_loop("shell"), DONE, *shell_loop("shell"), DONE, *shell_loop("shell")),
)
