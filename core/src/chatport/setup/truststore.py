"""Which configuration files a user trusts: kept outside every working folder, by path and content.

One line of JSON for each file, in the user's own folder for such things. What a line says holds for the file at that
path, as long as it and the patches that it names have the very content they had when its user looked at them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from ..basics.values import Value
from ..errors import ConfigurationError
from .configfile import ConfigFile, digest_of, read_bytes

__all__ = ["Standing", "TrustedFile", "place_of", "revoke", "standing_of", "trust", "trusted_files", "user_file"]

Standing = Literal["trusted", "changed", "unknown"]
_FOLDER = "chatport"


@attrs.frozen(eq=False, repr=False)
class TrustedFile(Value):
    """One line: where the file lies, and the SHA-256 of it and of the patches that it names, by their paths in it."""

    path: str
    sha256: str
    patches: Mapping[str, str] = attrs.field(factory=dict)


def user_file() -> Path | None:
    """Return where the user's own configuration is, if there is one; None where no place is the user's."""
    from platformdirs import user_config_path  # each system has its own place for it; loaded by who needs it

    return _of_user(user_config_path(_FOLDER, appauthor=False) / "config.toml")


def _store() -> Path | None:
    from platformdirs import user_state_path

    return _of_user(user_state_path(_FOLDER, appauthor=False) / "trusted.jsonl")


def _of_user(path: Path) -> Path | None:
    """Return a path, None if it would lie below the working folder: so it is for a user without a home."""
    return path if path.is_absolute() else None


def place_of(path: Path) -> str:
    """Return the name by which a file is known: its folder without links, and its own name.

    A link to a trusted file elsewhere is another file: what it names by relative paths would start in its own folder.
    """
    return str(path.parent.resolve() / path.name)


def standing_of(file: ConfigFile) -> Standing:
    """Return whether a file is trusted as it is, was trusted with another content, or was never trusted."""
    known = trusted_files().get(place_of(file.path))
    if known is None:
        return "unknown"
    return "trusted" if known.sha256 == file.digest and _are_as_known(known.patches, file.folder) else "changed"


def _are_as_known(patches: Mapping[str, str], folder: Path) -> bool:
    try:
        return patches == _digests(patches, folder)
    except ConfigurationError:  # there is something that cannot be read, and was not there before
        return False


def trust(file: ConfigFile) -> None:
    """Trust a file, as it was when it was read, with the patches that it names.

    Raises ConfigurationError for a patch that is there and cannot be read, or a store that cannot be written.
    """
    known = TrustedFile(place_of(file.path), file.digest, _digests(_patches(file.tables), file.folder))
    _write({**trusted_files(), known.path: known})


def revoke(path: Path) -> bool:
    """Trust a file no longer. Returns whether it was trusted."""
    known, place = trusted_files(), place_of(path)
    if place not in known:
        return False
    _write({name: entry for name, entry in known.items() if name != place})
    return True


def trusted_files() -> dict[str, TrustedFile]:
    """Return what is trusted, by path. A line that cannot be read trusts nothing."""
    store = _store()
    if store is None or not os.path.lexists(store):
        return {}
    lines = read_bytes(store, only_regular=True).decode("utf-8", "replace").splitlines()
    entries = filter(None, map(_entry, lines))
    return {entry.path: entry for entry in entries}


def _entry(line: str) -> TrustedFile | None:
    try:
        data: Any = json.loads(line)
        return TrustedFile(str(data["path"]), str(data["sha256"]), dict(data["patches"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _write(entries: Mapping[str, TrustedFile]) -> None:
    """Put the whole store in the place of the old one at once, readable by its user alone."""
    store = _store()
    if store is None:
        raise ConfigurationError("Nothing can be trusted for good here: this user has no home. Name the file instead.")
    lines = "".join(json.dumps(attrs.asdict(entry)) + "\n" for entry in entries.values())
    try:
        store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=store.parent)  # it makes files of mode 0600
        try:
            with open(handle, "w", encoding="ascii") as file:
                file.write(lines)
            os.replace(name, store)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ConfigurationError(f"Cannot write {store}: {error.strerror}.") from None


def _patches(tables: Mapping[str, Any]) -> list[str]:
    providers = tables.get("providers")
    found = [
        table.get("patches") for table in (providers.values() if isinstance(providers, dict) else ())
        if isinstance(table, dict)
    ]  # fmt: skip
    return [path for paths in found if isinstance(paths, list) for path in paths if isinstance(path, str)]


def _digests(patches: Mapping[str, str] | list[str], folder: Path) -> dict[str, str]:
    """Return the digest of each file, an empty text for one that does not exist."""
    return {path: _digest(folder / path) for path in patches}


def _digest(path: Path) -> str:
    return digest_of(read_bytes(path, only_regular=True)) if os.path.lexists(path) else ""
