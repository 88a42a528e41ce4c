"""Names of models that were seen: those in a provider's facts, and those that a vendor has listed here before.

For completions, which may neither import a provider nor ask anybody. What a vendor listed lies in the user's cache, a
file for each provider, written by `chatport models`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from ..plugins.installed import InstalledPlugin

__all__ = ["facts_names", "listed_names", "remember"]

_MOST_NAMES = 5000
_MOST_BYTES = 1024 * 1024
_NAME = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]{1,200}")
_PROVIDER = re.compile(r"[\w.-]{1,100}")


def facts_names(plugin: InstalledPlugin) -> list[str]:
    """Return the models that the facts of a provider's package name, without importing it."""
    import msgspec

    data: dict[str, list[dict[str, str]]] = {}
    with suppress(Exception):  # a package that is broken: whoever uses it is told
        folder = _folder(plugin)
        if folder is not None:
            data = msgspec.json.decode((folder / "facts.json").read_bytes())
    names = [entry.get("match", "") for table in ("models", "prices") for entry in data.get(table, ())]
    return sorted({name for name in names if _NAME.fullmatch(name) and not re.search(r"[*?\[]", name)})


def _folder(plugin: InstalledPlugin) -> Path | None:
    spec = find_spec(plugin.target.partition(":")[0].partition(".")[0])
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def listed_names(provider: str) -> list[str]:
    """Return the models that a vendor has listed here before; none where nobody has asked for them."""
    path = _cache_file(provider)
    with suppress(OSError):
        if path is not None:
            with path.open("rb") as file:
                return list(_fit(file.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()))
    return []


def remember(provider: str, names: Iterable[str]) -> None:
    """Write down what a vendor lists. It is a convenience: where that cannot be done, nothing happens."""
    path = _cache_file(provider)
    if path is None:
        return
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}\n" for name in _fit(names)), encoding="utf-8")


def _fit(names: Iterable[str]) -> Iterator[str]:
    """Give those names that a shell can complete: vendors and servers may list what they like."""
    fit = (name for name in names if _NAME.fullmatch(name) and name.isprintable())
    return (name for name, _ in zip(fit, range(_MOST_NAMES), strict=False))


def _cache_file(provider: str) -> Path | None:
    from platformdirs import user_cache_path

    path = user_cache_path("chatport", appauthor=False) / "models" / f"{provider}.txt"
    return path if path.is_absolute() and _PROVIDER.fullmatch(provider) else None
