"""Anthropic's Node SDK: its own tool runner, streamed, with thinking.

It asks first for a conversation that the server holds, and is told that there is none.
"""

from ..recipe import Recipe, shell_loop
from .javascript import program

RECIPE = Recipe(
    title="@anthropic-ai/sdk (Node)",
    npm=("@anthropic-ai/sdk@1.14.0",),
    told="anthropic-node",
    place="told.mjs",
    command=program("anthropic.mjs"),
    steps=shell_loop("shell"),
    refusals=1,
)
