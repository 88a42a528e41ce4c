"""OpenAI's agents for Node, by Responses."""

from ..recipe import Recipe, shell_loop
from .javascript import program

RECIPE = Recipe(
    title="@openai/agents (Node)",
    npm=("@openai/agents@0.20.0", "zod@4.6.7"),
    told="openai-agents",
    place="told.mjs",
    command=program("agents.mjs"),
    steps=shell_loop("shell"),
)
