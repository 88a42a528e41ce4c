"""Qwen Code, by chat completions."""

from ..recipe import PROMPT, Recipe, shell_loop

RECIPE = Recipe(
    title="Qwen Code",
    npm=("@qwen-code/qwen-code@0.15.10",),
    told="qwen-code",
    command=f'qwen --auth-type openai --yolo -p "{PROMPT}"',
    steps=shell_loop("run_shell_command", is_background=False),
)
