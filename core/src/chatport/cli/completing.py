"""What may stand where somebody presses Tab. Nothing is sent, no provider is imported, and nothing fails aloud."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, ShellComplete

from ..basics.display import one_line
from ..setup.configfile import read_config_file

__all__ = ["candidates", "commands", "conversations", "providers", "targets"]

_LONGEST_HELP = 100


def candidates(group: click.Command, words: Sequence[str]) -> list[CompletionItem]:
    """Return what may stand in the place of the last word, behind the words before it.

    An item whose `type` is `file` or `dir` stands for whatever files the shell finds.
    """
    *before, last = words or [""]
    option, equals, value = last.partition("=")
    is_joined = bool(equals) and option.startswith("--")
    if is_joined:
        before, last = [*before, option], value
    found = ShellComplete(group, {}, "chatport", "").get_completions(list(before), last)
    return [_joined(option, item) for item in found] if is_joined else found


def _joined(option: str, item: CompletionItem) -> CompletionItem:
    return CompletionItem(f"{option}={item.value}", item.type, item.help)


def commands(table: Mapping[str, str], incomplete: str) -> list[CompletionItem]:
    """Return the commands that begin like this, each with its line of help."""
    return [CompletionItem(name, help=text) for name, text in table.items() if name.startswith(incomplete)]


def providers(incomplete: str, config: Path | None = None) -> list[CompletionItem]:
    """Return the installed and configured providers whose names begin like this."""
    return [CompletionItem(name) for name in _providers(_Named(config)) if name.startswith(incomplete)]


def targets(incomplete: str, config: Path | None = None) -> list[CompletionItem]:
    """Return aliases, and providers with a colon; the models of a provider where it is the only one left."""
    named = _Named(config)
    items = [
        CompletionItem(name, help=one_line(", ".join(meant), _LONGEST_HELP))
        for name, meant in named.aliases.items()
        if name.startswith(incomplete)
    ]
    provider, colon, _ = incomplete.partition(":")
    fitting = [name for name in _providers(named) if (name == provider if colon else name.startswith(incomplete))]
    models: list[str] = []
    if len(fitting) == 1 and (colon or not items):
        models = [f"{fitting[0]}:{model}" for model in _models(fitting[0], named)]
    if colon or models:
        return [*items, *(CompletionItem(target) for target in models if target.startswith(incomplete))]
    return [*items, *(CompletionItem(f"{name}:") for name in fitting)]


def conversations(incomplete: str) -> list[CompletionItem]:
    """Return the newest conversations of the log whose names begin like this, with how they begin."""
    from .conversations import Book

    with suppress(Exception):  # a log that cannot be read: whoever uses it is told
        book = Book()
        if book.exists:
            found = book.listed(50, beginning=incomplete)
            return [CompletionItem(kept.id, help=_short(kept.beginning)) for kept in found]
    return []


def _short(text: str) -> str:
    return one_line(" ".join(text.split()), _LONGEST_HELP)


class _Named:
    """The names in the configuration: files are read as they stand, and nothing in them is made use of.

    To load it takes longer than all the rest, and whether a file is trusted says the command that is completed.
    """

    def __init__(self, config: Path | None) -> None:
        self.aliases: dict[str, list[str]] = {}
        self.providers: set[str] = set()
        self.targets: set[str] = set()
        for path in _files(config):
            with suppress(Exception):  # what is wrong with a file is told by the command itself
                self._read(read_config_file(path, only_regular=True).tables)

    def _read(self, tables: Mapping[str, Any]) -> None:
        for name, meant in _table(tables, "aliases").items():
            given = meant.get("targets") if isinstance(meant, Mapping) else meant
            entries = given if isinstance(given, list) else [given]
            shown = [entry.get("target") if isinstance(entry, Mapping) else entry for entry in entries]
            self.aliases[name] = [target for target in shown if isinstance(target, str)]
            self.targets.update(self.aliases[name])
        self.providers.update(_table(tables, "providers"))
        self.targets.update(_table(tables, "models"))
        if isinstance(tables.get("model"), str):
            self.targets.add(tables["model"])


def _files(config: Path | None) -> list[Path]:
    named = config or os.environ.get("CHATPORT_CONFIG")
    if named:
        return [Path(named)]
    from ..setup.truststore import user_file

    return [path for path in (user_file(), Path("chatport.toml")) if path is not None and path.exists()]


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = tables.get(name)
    return table if isinstance(table, Mapping) else {}


def _providers(named: _Named) -> list[str]:
    from ..plugins.installed import installed_providers

    found = set(named.providers)
    with suppress(Exception):  # CHATPORT_PLUGINS may be wrong
        found |= set(installed_providers())
    return sorted(found)


def _models(provider: str, named: _Named) -> list[str]:
    """Return all models of a provider that are known without asking it."""
    from ..plugins.installed import installed_providers
    from .model_names import facts_names, listed_names

    models = {*listed_names(provider)}
    with suppress(Exception):
        plugin = installed_providers().get(provider)
        models.update(() if plugin is None else facts_names(plugin))
    for target in named.targets:
        its_provider, colon, model = target.partition(":")
        if colon and model and its_provider == provider:
            models.add(model)
    return sorted(models)
