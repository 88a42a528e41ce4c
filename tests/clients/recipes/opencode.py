"""opencode, by the AI SDK's chat client."""

from ..recipe import PROMPT, Recipe, shell_loop

RECIPE = Recipe(
    title="opencode",
    npm=("opencode-ai@1.18.33",),
    told="opencode",
    place=".config/opencode/opencode.json",
    command=f'opencode run "{PROMPT}"',
    steps=shell_loop("bash", description="Calculate"),
)
