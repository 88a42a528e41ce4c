"""Anthropic's Node SDK: its own tool runner, streamed, with thinking."""

from ..recipe import Recipe, shell_loop
from .javascript import program

RECIPE = Recipe(
    title="@anthropic-ai/sdk (Node)",
    npm=("@anthropic-ai/sdk@1.14.0",),
    told="anthropic-node",
    place="told.mjs",
    command=program("anthropic.mjs"),
    steps=shell_loop("shell"),
)
