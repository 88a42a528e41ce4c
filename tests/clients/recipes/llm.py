"""llm, by chat completions."""

from ..recipe import PROMPT, Recipe, shell_loop

_FUNCTIONS = '''
import subprocess


def shell(command: str) -> str:
    """Run a command."""
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout
'''

RECIPE = Recipe(
    title="llm",
    pypi=("llm==0.36",),
    told="llm",
    place=".config/io.datasette.llm/extra-openai-models.yaml",
    files={"functions.py": _FUNCTIONS},
    command=(
        'llm keys set chatport --value "$CHATPORT_GATEWAY_KEY"\n'
        f'llm -m "$MODEL" --functions "$HOME/functions.py" "{PROMPT}"'
    ),
    steps=shell_loop("shell"),
)
