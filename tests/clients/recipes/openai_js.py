"""OpenAI's Node SDK: the same loop by chat completions and by Responses."""

from ..recipe import DONE, Recipe, shell_loop
from .javascript import program

RECIPE = Recipe(
    title="openai (Node)",
    npm=("openai@6.49.0",),
    told="openai-node",
    place="told.mjs",
    command=program("openai.mjs"),
    steps=(*shell_loop("shell"), DONE, *shell_loop("shell")),
)
