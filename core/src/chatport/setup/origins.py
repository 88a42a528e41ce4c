"""What keeps a key where it belongs: which hosts may have it, over which connection, and in which header."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..basics.hosts import is_loopback, is_named, shown_address
from ..basics.secret import Secret
from ..errors import ConfigurationError
from ..provider import Provider

__all__ = [
    "check_key",
    "check_way",
    "header_problem",
    "host_of",
    "is_open_way",
    "is_own_host",
    "is_placeholder",
    "is_vendor_host",
    "origin",
]

_PLACEHOLDER = re.compile(
    r"""
      [<\[{(].*[>\]})]                                 # <key>, [YOUR KEY], {{key}}
    | ([\w-]*[-_])?(\.{2,}|…|[x*•]{3,})                # sk-..., sk-xxxx, ****
    | ([a-z]+[-_])?(your|insert|enter|replace)[-_ ].*(key|token|secret).*  # sk-your-api-key
    | \$\{?\w+\}? | %\w+%                              # $ACME_API_KEY, which nobody has filled in
    | (api[-_ ]?key|change[-_]?me)([-_ ]here)?
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")


def header_problem(name: str, value: str, provider: str) -> ConfigurationError | None:
    """Return what is wrong with a header that cannot be sent, without its value: it may be a secret.

    It is for the caller to raise, once no local of its own holds the value: a traceback may show locals.
    """
    if _HEADER_NAME.fullmatch(name) is None:
        return ConfigurationError(f"A header of {provider} has an invalid name: {name!r}.", provider=provider)
    if _HEADER_VALUE.fullmatch(value) is None:
        return ConfigurationError(
            f"The value of the header {name!r} for {provider} holds a line break, a control or non-ASCII character, or "
            "blanks at an end. (It is not shown here, since it may be a secret.)",
            provider=provider,
        )
    return None


def check_key(key: Secret, provider: Provider, base_url: str, *, allow_plain_http: bool = False) -> None:
    """Raise ConfigurationError for a key that cannot be sent, or would be sent in the clear without leave."""
    if not key:
        raise ConfigurationError(f"The API key of {provider.name} is empty.", provider=provider.name)
    parts = urlsplit(base_url)
    if is_placeholder(key) and not is_loopback(parts.hostname):  # a server on this machine may take any word
        raise ConfigurationError(
            f"The API key of {provider.name} is a placeholder from an example, not a key. (It is not shown here.) "
            "Put your own in its place, or leave it out where none is needed.",
            provider=provider.name,
        )
    if key.reveal() != key.reveal().strip():
        raise ConfigurationError(f"The API key of {provider.name} has blanks at an end.", provider=provider.name)
    problem = header_problem(provider.auth.header, provider.auth.prefix + key.reveal(), provider.name)
    if problem is not None:
        raise problem
    if not allow_plain_http:
        check_way(provider.name, base_url)


def is_open_way(base_url: str) -> bool:
    """Whether what goes to an address can be read on its way: plain http, and not within this machine."""
    parts = urlsplit(base_url)
    return parts.scheme == "http" and not is_loopback(parts.hostname)


def check_way(provider: str, base_url: str) -> None:
    """Raise ConfigurationError if a key would be sent in the clear."""
    if is_open_way(base_url):
        raise ConfigurationError(
            f"[providers.{provider}] would send its key over plain http to {host_of(base_url)}. "
            "Use https; plain http with a key is for this machine only. In a network that nobody else can read (of "
            "Docker, of Kubernetes), say allow_plain_http = true beside the base_url.",
            provider=provider,
        )


def is_placeholder(key: Secret) -> bool:
    """Whether a key is the word that an example has in its place. Words that servers without keys document are none."""
    return _PLACEHOLDER.fullmatch(key.reveal().strip()) is not None


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL. Raises ConfigurationError if it has none."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    except (ValueError, KeyError):
        shown = shown_address(url)
        del url, parts  # a key may stand in it by mistake, and a traceback may show locals
        raise ConfigurationError(f"{shown or 'What is given'} is not an http or https address.") from None
    return parts.scheme, parts.hostname or "", port


def is_own_host(provider: Provider, url: str) -> bool:
    """Whether a URL is one of the vendor's own hosts, or this machine."""
    return is_loopback(urlsplit(url).hostname or "") or is_vendor_host(provider, url)


def is_vendor_host(provider: Provider, url: str) -> bool:
    """Whether a URL is one of the vendor's own hosts, by the word of its package."""
    host = urlsplit(url).hostname or ""
    own = {urlsplit(provider.base_url).hostname or "", *provider.hosts}
    return any(is_named(name, host) for name in own if name)


def host_of(url: str) -> str:
    """Return the host of a URL, for messages."""
    return urlsplit(url).hostname or url
