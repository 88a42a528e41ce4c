"""A facts file: dated data on a vendor's models, that a plugin keeps in JSON beside its code; read, checked, asked.

The file is one object: `provider`, `date`, `models` (patterns, most specific wins), `prices`, `retired`, `hosts`. Every
entry names its `source`, which is a fact number of the vendor's quirk table or a public page with a date.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import attrs
import msgspec

from .. import jsoncodec
from ..basics.frozen import freeze_fields
from ..basics.hosts import is_named
from ..basics.typed import check_fields, expect
from ..basics.values import Value
from ..errors import BadRequestError, ConfigurationError, PluginError
from .checking import check_errors, check_limits, check_rules, check_usage, refuse_unknown
from .models import HostFacts, ModelFacts, RetiredModel, is_region
from .prices import Price
from .vendor_rules import AddressRule, ErrorRule, LimitsRule, UsageRule

__all__ = ["Facts", "ModelEntry", "load_facts"]

_HOST_PATTERN = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+")


@attrs.frozen(eq=False, repr=False)
class ModelEntry(Value):
    """One entry of a facts file. Several can match a model: the more specific ones are laid over the others."""

    match: str
    facts: Mapping[str, Any]
    hosts: tuple[str, ...] = ()
    source: str = ""

    def __attrs_post_init__(self) -> None:
        freeze_fields(self, "facts", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class Facts(Value):
    """A facts file, decoded. `hosts` maps a host name, or "*.example.com" for subdomains, to what is known of it.

    `quirks` say which facts a word in a model's `quirks` stands for: `{"thinking": {"switch": {…}}}`, where a number or
    a boolean is written as its JSON ("true"). They are laid under what is said beside that word, in an entry of the
    file as in a user's correction.
    """

    provider: str
    date: str
    models: tuple[ModelEntry, ...] = ()
    prices: tuple[Price, ...] = ()
    retired: tuple[RetiredModel, ...] = ()
    hosts: Mapping[str, HostFacts] = attrs.field(factory=dict)
    errors: tuple[ErrorRule, ...] = ()
    addresses: tuple[AddressRule, ...] = ()
    limits: LimitsRule | None = None
    usage: UsageRule | None = None
    quirks: Mapping[str, Mapping[str, Mapping[str, Any]]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_fields(self, ConfigurationError)
        freeze_fields(self, "hosts", "quirks", error=BadRequestError)

    def describe(self, model: str, base_url: str = "") -> ModelFacts:
        """Return the facts of a model on a host. Patterns are globs; the longest match has the last word."""
        merged: dict[str, Any] = {}
        entries = [entry for entry in self.models if _applies(entry.match, entry.hosts, model, base_url)]
        for entry in sorted(entries, key=lambda entry: (bool(entry.hosts), _weight(entry.match))):
            merged = {**_laid_over(merged, self._spelled_out(entry.facts)), "source": entry.source}
        prices = [price for price in self.prices if _applies(price.match, price.hosts, model, base_url)]
        heaviest = max((_weight(price.match) for price in prices), default=0)
        facts: ModelFacts = jsoncodec.convert(merged, ModelFacts)
        return attrs.evolve(
            facts,
            prices=tuple(price for price in prices if _weight(price.match) == heaviest),
            retired=next((entry for entry in self.retired if entry.id == model), None),
        )

    def correct(self, facts: ModelFacts, corrections: Mapping[str, Any]) -> ModelFacts:
        """Return the facts with a user's corrections laid over them. Raises msgspec.ValidationError."""
        corrected = _laid_over(msgspec.to_builtins(facts), self._spelled_out(corrections))
        return cast(ModelFacts, jsoncodec.convert(corrected, ModelFacts))

    def _spelled_out(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return facts laid over those that the words in their quirks stand for."""
        for name, word in (known.get("quirks") or {}).items():
            meant = self.quirks.get(name, {}).get(word if isinstance(word, str) else jsoncodec.encode_text(word))
            known = known if meant is None else _laid_over(meant, known)
        return known

    def address(self, settings: Mapping[str, Any]) -> str | None:
        """Return the base URL that the provider's settings mean, None where they name no place.

        Raises ConfigurationError for a setting's value that no address has, with those that there are.
        """
        for rule in self.addresses:
            own = str(settings.get(rule.setting or "") or "").rstrip("/")
            if own:
                return own if urlsplit(own).path else own + urlsplit(rule.base_url).path
        names = list(dict.fromkeys(name for rule in self.addresses for name in rule.when))
        given = {name: str(settings[name]).lower() for name in names if settings.get(name) is not None}
        if not given:
            return None
        for name, value in given.items():
            known = list(dict.fromkeys(rule.when[name] for rule in self.addresses if name in rule.when))
            if value not in known:
                among = f"{name} is one of {', '.join(known)}" if known[1:] else f"the only {name} is {known[0]!r}"
                raise ConfigurationError(f"{self.provider}: {among}, not {settings[name]!r}.")
        for rule in self.addresses:
            if not rule.setting and all(rule.when.get(name) == value for name, value in given.items()):
                return rule.base_url
        said = ", ".join(f"{name} = {value!r}" for name, value in given.items())
        raise ConfigurationError(f"{self.provider}: there is no address for {said} together.")

    def host(self, base_url: str) -> HostFacts | None:
        """Return what is known of the host of a base URL; None for a host that the file does not name."""
        name = urlsplit(base_url).hostname or ""
        named = [pattern for pattern in self.hosts if is_named(pattern, name)]
        return self.hosts[max(named, key=lambda pattern: (pattern == name, len(pattern)))] if named else None


_LEVELS = {"rules": 2, "quirks": 1}
"""How deep these tables are laid over one another: a model may change a single word of its reasoning rule."""


def _laid_over(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of two entries as one, the second having the last word."""
    shared = [name for name in _LEVELS if name in old and name in new]
    return {**old, **new} | {name: _both(old[name], new[name], _LEVELS[name]) for name in shared}


def _both(old: Any, new: Any, levels: int) -> Any:
    """Return two tables as one; what both hold is laid over one another in turn, as deep as `levels` says."""
    if not levels or not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **new} | {name: _both(old[name], new[name], levels - 1) for name in old.keys() & new.keys()}


def _applies(pattern: str, hosts: Sequence[str], model: str, base_url: str) -> bool:
    return fnmatchcase(model, pattern) and (not hosts or any(host in base_url for host in hosts))


def _weight(pattern: str) -> int:
    """How specific a pattern is: its literal characters, and a little more when it has no wildcard."""
    literal = sum(character not in "*?" for character in pattern)
    return 2 * literal + ("*" not in pattern and "?" not in pattern)


def load_facts(package: str, filename: str = "facts.json") -> Facts:
    """Return the facts file of an installed plugin package. Raises PluginError if it is missing or malformed."""
    expect(package, str, "The package of a facts file is named by a text", PluginError)
    expect(filename, str, "A facts file is named by a text", PluginError)
    return _loaded(package, filename)


@cache
def _loaded(package: str, filename: str) -> Facts:
    try:
        data = pkgutil.get_data(package, filename) or b""
        jsoncodec.make_known(Facts)  # providers are made ready in threads of their own
        facts = msgspec.json.decode(data, type=Facts)
        refuse_unknown(msgspec.json.decode(data), Facts, "")
        for entry in facts.models:
            refuse_unknown(entry.facts, ModelFacts, entry.match)
            check_rules(msgspec.convert(entry.facts, ModelFacts).rules, entry.match)
            for protocol, known in (entry.facts.get("protocols") or {}).items():
                refuse_unknown(known, ModelFacts, f"{entry.match} protocols {protocol}")
                check_rules(msgspec.convert(known, ModelFacts).rules, f"{entry.match} protocols {protocol}")
        for name, words in facts.quirks.items():
            for word, known in words.items():
                refuse_unknown(known, ModelFacts, f"quirks {name} {word}")
                check_rules(msgspec.convert(known, ModelFacts).rules, f"quirks {name} {word}")
        check_errors(facts.errors)
        check_limits(facts.limits)
        check_usage(facts.usage)
        _check_hosts(facts.hosts)
        return facts
    except (OSError, ImportError, ValueError, msgspec.ValidationError) as error:
        raise PluginError(f"The facts file {filename} of {package} cannot be used: {error}.") from error


def _check_hosts(hosts: Mapping[str, HostFacts]) -> None:
    """Raise ValueError for facts that could be taken for another host's, or that nobody can check."""
    for pattern, known in hosts.items():
        if not _HOST_PATTERN.fullmatch(pattern):
            raise ValueError(f"the host {pattern!r} is neither a host name nor like *.example.com")
        wrong = [region for region in known.regions if not is_region(region)]
        if wrong:
            raise ValueError(f"{wrong[0]!r}, a region of {pattern}, is no code like US or EU")
        if not known.source or not known.date:
            raise ValueError(f"the facts of the host {pattern} need a source and a date")
