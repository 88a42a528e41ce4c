"""The peers' environments, one for each, in `benchmarks/.venvs`: none of them meets the project's own.

`python -m benchmarks.environments` makes those that are missing. To have newer versions, delete the folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "INSTALLED", "make", "python_of", "size_of"]

HERE = Path(__file__).parent
ROOT = HERE.parent
FOLDER = HERE / ".venvs"

PEERS = {
    "openai": ("openai",),
    "litellm": ("litellm",),
    "langchain": ("langchain-openai",),
    "any-llm": ("any-llm-sdk[openai]",),
    "pydantic-ai": ("pydantic-ai-slim[openai]",),
}
PROXIES = {"litellm-proxy": ("litellm[proxy]",)}  # made when asked for: `python -m benchmarks.gateway --litellm`
SIZES = {  # not run, only weighed; ours is made anew each time, for it changes
    "httpx": ("httpx",),
    "chatport": (str(ROOT / "core"), str(ROOT / "plugins/provider-deepseek")),
}
INSTALLED = PEERS | SIZES
_KNOWN = INSTALLED | PROXIES

_SIZE = """
import importlib.metadata, json, pathlib, sysconfig
root = pathlib.Path(sysconfig.get_path("purelib"))
files = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
print(json.dumps({"install_mb": sum(path.stat().st_size for path in files) / 1e6,
                  "distributions": len(list(importlib.metadata.distributions(path=[str(root)])))}))
"""


def python_of(environment: str) -> Path:
    """Return the interpreter of an environment; "" is the one that runs now."""
    return FOLDER / environment / "bin" / "python" if environment else Path(sys.executable)


def make(environment: str) -> None:
    """Make an environment, unless it is there already. Raises RuntimeError when its packages cannot be installed."""
    place = FOLDER / environment
    whole = place / "whole"  # written last
    if whole.exists() and environment != "chatport":
        return
    print(f"== installing {environment} into {place.relative_to(ROOT)}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(place)], check=True)
    python, wanted = str(python_of(environment)), _KNOWN[environment]
    said = ""
    for tool in (["uv", "pip", "install", "--python", python], ["pip", "--python", python, "install"]):
        done = subprocess.run([sys.executable, "-m", *tool, "-q", *wanted], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            whole.touch()
            return
        said = done.stderr.strip()[-1000:]
    raise RuntimeError(f"{environment} could not be installed:\n{said}")


def size_of(environment: str) -> dict[str, Any]:
    """Return how much an environment holds, in MB without bytecode, and in how many distributions."""
    done = subprocess.run([python_of(environment), "-c", _SIZE], capture_output=True, text=True, check=True)
    sizes: dict[str, Any] = json.loads(done.stdout)
    return sizes


if __name__ == "__main__":
    for name in INSTALLED:
        make(name)
