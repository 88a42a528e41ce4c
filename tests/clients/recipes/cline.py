"""Cline's command line, by chat completions."""

from ..recipe import FIRST, PROMPT, SECOND, Call, Recipe

RECIPE = Recipe(
    title="Cline CLI",
    npm=("cline@3.0.65",),
    told="cline",
    command=f'cline -P openai -m "$MODEL" --json "{PROMPT}"',
    steps=[Call("run_commands", {"commands": [command]}) for command in (FIRST, SECOND)],
)
