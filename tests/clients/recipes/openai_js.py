"""OpenAI's Node SDK: the same loop by chat completions and by Responses."""

from ..recipe import DONE, Recipe, shell_loop
from .javascript import program

RECIPE = Recipe(
    title="openai (Node)",
    npm=("openai@7.59.0",),
    node="22.23.3",
    told="openai-node",
    place="told.mjs",
    command=program("openai.mjs"),
    steps=(*shell_loop("shell"), DONE, *shell_loop("shell")),
)
