"""Continue's command line, by chat completions."""

from ..recipe import PROMPT, Recipe, shell_loop

RECIPE = Recipe(
    title="Continue CLI",
    npm=("@continuedev/cli@1.5.47",),
    told="continue",
    place="config.yaml",
    command=f'cn -p --auto --config "$HOME/config.yaml" "{PROMPT}"',
    steps=shell_loop("Bash"),
)
