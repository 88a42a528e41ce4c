"""Which of a vendor's protocols a call takes, and the vendor as it is spoken to in that one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import msgspec

from ..call import Call
from ..errors import ConfigurationError, UnsupportedFeatureError
from ..facts.models import ModelFacts
from ..facts.rules import NEEDS, ProtocolRule
from ..plugins.installed import installed_protocols
from ..plugins.registry import build_plan
from ..provider import Protocol, Provider
from .vendor import Vendor

__all__ = ["AUTO", "Choice", "check_setting", "choose", "form_of", "in_protocol", "protocol_of_path"]

AUTO = "auto"
_STANDARD = "chat"
_STATE = ("previous_response_id", "conversation", "background")


class Choice(msgspec.Struct, frozen=True):
    """The protocol that a call takes, and why, in words; without any where there was nothing to choose."""

    protocol: str
    reason: str


def check_setting(provider: Provider, setting: str) -> None:
    """Raise ConfigurationError for a protocol that the provider cannot be spoken to in."""
    if setting not in (AUTO, provider.protocol) and _protocol(provider, setting) is None:
        further = [name for name in installed_protocols() if _protocol(provider, name) is not None]
        words = sorted({AUTO, provider.protocol, *(known.name for known in provider.protocols), *further})
        raise ConfigurationError(
            f"[providers.{provider.name}]: protocol is one of {', '.join(words)}, not {setting!r}. "
            "A protocol may be a package of its own, which is to be installed.",
            provider=provider.name,
        )


def choose(call: Call, facts: ModelFacts, provider: Provider, setting: str) -> Choice:
    """Return the protocol for a call: the user's word, else what the facts say, else the provider's own.

    A call that came in a protocol which the vendor speaks goes out in it, where the model answers in it too.

    Raises UnsupportedFeatureError where the model answers only in one that is not installed.
    """
    if setting != AUTO:
        return Choice(setting, "the setting `protocol` says so")
    rule = None if facts.rules is None else facts.rules.protocol
    if call.native is not None and (rule is None or rule.only is None) and _is_native(provider, call.native.protocol):
        return Choice(call.native.protocol, "the call came in it")
    if rule is None:
        return Choice(provider.protocol, "")
    if rule.only is not None:
        if not _is_spoken(provider, rule.only):
            raise UnsupportedFeatureError(
                f"This model answers only in the protocol {rule.only!r}, which is not installed here.",
                provider=provider.name,
            )
        return Choice(rule.only, _cited("the model answers in no other", rule, "only"))
    return _by_need(call, facts, provider, rule)


def _by_need(call: Call, facts: ModelFacts, provider: Provider, rule: ProtocolRule) -> Choice:
    for need in NEEDS:
        wanted = rule.needs.get(need)
        if wanted is not None and _is_spoken(provider, wanted) and _HOLDS[need](call, facts):
            return Choice(wanted, _cited(f"the call has {need.replace('_', ' ')}", rule, need))
    if rule.usual is not None and _is_spoken(provider, rule.usual):
        return Choice(rule.usual, _cited("the usual one for this model", rule, "usual"))
    return Choice(provider.protocol, "the call has no need of another")


def _cited(reason: str, rule: ProtocolRule, part: str) -> str:
    fact = rule.cite(part)
    return f"{reason} ({fact})" if fact else reason


def _reasons(call: Call, facts: ModelFacts) -> bool:
    """Whether the model is to reason, as far as the call and its own default say."""
    wish = call.reasoning if call.reasoning is not None else call.extra.get("reasoning_effort")
    if facts.reasoning is False or wish == "none":
        return False
    return wish is not None or facts.default_effort not in (None, "none")


def _has_tools(call: Call) -> bool:
    return bool(call.tools or call.extra.get("tools"))


_HOLDS: Mapping[str, Callable[[Call, ModelFacts], bool]] = {
    "tools": lambda call, facts: _has_tools(call),
    "reasoning": _reasons,
    "reasoning_beside_tools": lambda call, facts: _has_tools(call) and _reasons(call, facts),
    "json_schema": lambda call, facts: call.output is not None,
    "forced_choice": lambda call, facts: (
        call.tool_choice is not None and call.tool_choice.mode in ("required", "named")
    ),
    "server_state": lambda call, facts: any(call.extra.get(name) for name in _STATE),
}


# --- the vendor in a protocol


def in_protocol(vendor: Vendor, name: str) -> Vendor:
    """Return the vendor as it is spoken to in a protocol, the same value every time."""
    if name == vendor.provider.protocol:
        return vendor
    known = vendor.forms.get(name)
    if known is None:
        form = form_of(vendor.provider, name)
        known = vendor.forms[name] = attrs.evolve(vendor, provider=form, plan=build_plan(form, vendor.patches))
    return known


def form_of(provider: Provider, name: str) -> Provider:
    """Return a provider as it speaks a protocol, which it must know."""
    if name == provider.protocol:
        return provider
    protocol = _protocol(provider, name)
    assert protocol is not None, "only a protocol that is known is chosen"
    return attrs.evolve(protocol.form(provider), protocol=name)


def protocol_of_path(provider: Provider, path: str) -> str:
    """Return the protocol whose requests go to a path, the provider's own where none is told by it."""
    installed = [_protocol(provider, name) for name in installed_protocols()]
    for protocol in (*provider.protocols, *filter(None, installed)):
        below = protocol.form(provider).dialect.chat_path.partition("?")[0]
        if path.partition("?")[0].rstrip("/").endswith(below):
            return protocol.name
    return provider.protocol


def _is_native(provider: Provider, name: str) -> bool:
    """Whether a protocol is the vendor's usual one, or one that it speaks as well."""
    return name == provider.protocol or any(known.native and known.name == name for known in provider.protocols)


def _is_spoken(provider: Provider, name: str) -> bool:
    return name == provider.protocol or _protocol(provider, name) is not None


def _protocol(provider: Provider, name: str) -> Protocol | None:
    """Return a protocol: as the provider has it, else as installed for any endpoint that is spoken to like all."""
    own = next((protocol for protocol in provider.protocols if protocol.name == name), None)
    if own is not None:
        return own
    installed = installed_protocols().get(name)
    if installed is None or provider.protocol != _STANDARD:  # its hooks stand around the standard's
        return None
    value = installed.load()
    if not isinstance(value, Protocol):
        raise ConfigurationError(f"The protocol {name!r} of {installed.distribution} is no chatport.Protocol.")
    return value
