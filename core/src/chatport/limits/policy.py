"""Where data may go: rules on providers, models, regions and training, checked before a byte leaves."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import attrs
import msgspec

from ..basics.hosts import is_loopback, is_under
from ..basics.values import Value
from ..errors import PolicyError
from ..facts.models import HostFacts

if TYPE_CHECKING:
    from ..provider import Provider

__all__ = ["Policy", "check_policy", "host_facts", "stricter"]

_EU = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)
"""The member states: a host in one of them is in the EU. (One "in the EU" may be in any of them.)"""


@attrs.frozen(eq=False, repr=False)
class Policy(Value):
    """The `[policy]` table. None, False and an empty tuple forbid nothing.

    `allow_regions`: requests may be processed there only; all regions of a host must be among them. `forbid_training`:
    no vendor that trains on what it is sent. `allow_providers`: these names only, as they stand in targets.
    `deny_models`: globs over "provider:model", whatever the case. `unknown`: whether a rule denies or allows a host of
    which the fact in question is not known.
    """

    allow_regions: tuple[str, ...] | None = None
    forbid_training: bool = False
    allow_providers: tuple[str, ...] | None = None
    deny_models: tuple[str, ...] = ()
    unknown: Literal["deny", "allow"] = "deny"

    @property
    def is_open(self) -> bool:
        """Whether it forbids nothing at all."""
        has_rule = self.forbid_training or self.deny_models
        return not has_rule and self.allow_regions is None and self.allow_providers is None


def stricter(one: Policy, other: Policy) -> Policy:
    """Return the policy that forbids what either forbids."""
    policies = [policy for policy in (one, other) if not policy.is_open]
    return Policy(
        allow_regions=_common(one.allow_regions, other.allow_regions, _is_inside),
        forbid_training=one.forbid_training or other.forbid_training,
        allow_providers=_common(one.allow_providers, other.allow_providers, lambda name, names: name in names),
        deny_models=tuple(dict.fromkeys((*one.deny_models, *other.deny_models))),
        unknown="allow" if policies and all(policy.unknown == "allow" for policy in policies) else "deny",
    )


def _common(
    one: tuple[str, ...] | None, other: tuple[str, ...] | None, is_in: Callable[[str, tuple[str, ...]], bool]
) -> tuple[str, ...] | None:
    """Return what is in both lists; None is a list of everything. A country is in a list that has the EU."""
    if one is None or other is None:
        return one if other is None else other
    both = [name for name in one if is_in(name, other)] + [name for name in other if is_in(name, one)]
    return tuple(dict.fromkeys(both))


def check_policy(
    policy: Policy, provider: Provider, base_url: str, model: str, stated: HostFacts | None = None
) -> None:
    """Raise PolicyError if a call may not be sent. `stated` is what the configuration says of this endpoint.

    The text names the rule, the fact with its source and date, and what to do.
    """
    _check_names(policy, provider, model)
    if policy.allow_regions is None and not policy.forbid_training:
        return
    host = _Host(urlsplit(base_url).hostname or base_url, host_facts(provider, base_url, stated), provider, model)
    if policy.allow_regions is not None:
        _check_regions(policy.allow_regions, policy.unknown, host)
    if policy.forbid_training:
        _check_training(policy.unknown, host)


def host_facts(provider: Provider, base_url: str, stated: HostFacts | None = None) -> HostFacts:
    """Return what is known of the host that a provider's requests go to.

    What the configuration states comes first: a gateway on this machine may pass requests on. Then comes the address
    itself, then the provider's facts, which hold for the hosts they name and no other.
    """
    known = _from_address(base_url) or (provider.facts.host(base_url) if provider.facts is not None else None)
    if stated is None or known is None:
        return stated or known or HostFacts()
    return attrs.evolve(
        known,
        regions=stated.regions or known.regions,
        trains=known.trains if stated.trains is None else stated.trains,
        trains_on=known.trains_on if stated.trains is None else (),
        source="; ".join(source for source in (stated.source, known.source) if source),
    )


def _from_address(base_url: str) -> HostFacts | None:
    """Return the facts of a host on this machine or on the local link (RFC 6761, RFC 6762), None for any other."""
    host = urlsplit(base_url).hostname or ""
    if is_loopback(host) or is_under("local", host):
        return HostFacts(("local",), trains=False, source="its address")
    return None


class _Host(msgspec.Struct, frozen=True):
    """A host, what is known of it, and for whom it is asked."""

    name: str
    facts: HostFacts
    provider: Provider
    model: str

    def because(self) -> str:
        """Return source and date of the facts, for a message."""
        parts = [part for part in (self.facts.source, self.facts.date) if part]
        return f" ({', '.join(parts)})" if parts else ""

    def advice(self) -> str:
        name = self.provider.name
        return (
            f"Choose another target, state the fact yourself beside the base_url in [providers.{name}], "
            'or let hosts pass of which it is not known: [policy] unknown = "allow".'
        )


def _check_names(policy: Policy, provider: Provider, model: str) -> None:
    if policy.allow_providers is not None and provider.name not in policy.allow_providers:
        raise _forbidden(
            provider,
            model,
            "allow_providers",
            f"allow_providers = {_listed(policy.allow_providers)} does not name {provider.name}. Choose a target "
            "of one of these, or add the name.",
        )
    # A second account of a vendor has a name of its own; what is denied of the vendor is denied there too.
    vendor = provider.facts.provider if provider.facts is not None else provider.name
    targets = {f"{name}:{model}".lower() for name in (provider.name, vendor)}
    for pattern in policy.deny_models:
        if any(fnmatchcase(target, pattern.lower()) for target in targets):
            raise _forbidden(
                provider,
                model,
                "deny_models",
                f"deny_models has {pattern!r}. Choose another model, or take the pattern out.",
            )


def _check_regions(allowed: tuple[str, ...], unknown: str, host: _Host) -> None:
    rule = f"allow_regions = {_listed(allowed)}"
    if not host.facts.regions:
        if unknown == "deny":
            problem = f"{rule}, and it is not known where {host.name} processes requests{host.because()}. "
            raise _forbidden(host.provider, host.model, "allow_regions", problem + host.advice())
        return
    outside = [region for region in host.facts.regions if not _is_inside(region, allowed)]
    if outside:
        raise _forbidden(
            host.provider,
            host.model,
            "allow_regions",
            f"{rule}, and {host.name} processes requests in {', '.join(host.facts.regions)}{host.because()}. "
            f"Choose another target, or add {_listed(outside)}.",
        )


def _is_inside(region: str, allowed: tuple[str, ...]) -> bool:
    return region in allowed or (region in _EU and "EU" in allowed)


def _check_training(unknown: str, host: _Host) -> None:
    trains = host.facts.trains or any(fnmatchcase(host.model, pattern) for pattern in host.facts.trains_on)
    if trains:
        raise _forbidden(
            host.provider,
            host.model,
            "forbid_training",
            f"forbid_training = true, and the vendor trains on what {host.name} is sent{host.because()}. Choose "
            f"another target, or state what your contract says: [providers.{host.provider.name}] trains = false.",
        )
    if host.facts.trains is None and unknown == "deny":
        problem = f"forbid_training = true, and it is not known whether {host.name} trains on requests{host.because()}."
        raise _forbidden(host.provider, host.model, "forbid_training", f"{problem} {host.advice()}")


def _forbidden(provider: Provider, model: str, rule: str, problem: str) -> PolicyError:
    return PolicyError(
        f"[policy] forbids this call, and nothing was sent: {problem}", provider=provider.name, model=model, rule=rule
    )


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
