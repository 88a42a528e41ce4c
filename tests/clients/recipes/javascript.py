"""How a program for Node is put together: what `--print-config` says comes first, and makes the client."""

__all__ = ["program"]


def program(name: str) -> str:
    """Return the shell script that runs one of `programs/`, with the client's own packages beside it."""
    return (
        'ln -s "$INSTALLED/node_modules" .\n'
        f'cat "$HOME/told.mjs" "$HOME/programs/shell.mjs" "$HOME/programs/{name}" > program.mjs\n'
        "node program.mjs"
    )
