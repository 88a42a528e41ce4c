"""Which proxy the environment names for an address, if it names one.

Read here, and not by httpx, which gives up on a whole environment for one word that it does not know, and knows no
networks. A proxy is looked at only when an address would go through it. This machine is never reached through one.

The URL of a proxy may hold a password: no message, repr or local variable of a failing frame shows it.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

import attrs

from ..basics.hosts import ip_of, is_loopback, is_under
from ..basics.secret import Secret
from ..engine.commands import HttpRequest, TransportFailure
from ..errors import ConfigurationError
from .address import address_of

__all__ = ["Proxies", "Proxy", "SystemSettings", "check_clear", "read_proxies", "system_settings", "through"]

_SCHEMES: Mapping[str, tuple[Literal["http", "https", "socks5"], int]] = {
    "http": ("http", 80),
    "https": ("https", 443),
    "socks": ("socks5", 1080),  # what desktops write into ALL_PROXY, and mean SOCKS 5 by
    "socks5": ("socks5", 1080),
    "socks5h": ("socks5", 1080),
}
_PORT_BEHIND = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})")
_IN_BRACKETS = re.compile(r"\A\[([^\]]*)\](?=/|\Z)")
_SYSTEM = "the system's settings"


@attrs.frozen
class Proxy:
    """Where requests go instead. `source` names it for messages: `$HTTPS_PROXY`, for example."""

    source: str
    scheme: Literal["http", "https", "socks5"]
    host: str
    port: int
    user: Secret | None = None
    password: Secret | None = None

    @property
    def url(self) -> str:
        """Its address, without user name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def auth(self) -> tuple[str, str] | None:
        """User name and password as they are. For the HTTP library only."""
        if self.user is None:
            return None
        return self.user.reveal(), "" if self.password is None else self.password.reveal()

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What must not be seen, should the proxy echo it: the password, and what is made of it."""
        if self.auth is None:
            return ()
        user, password = self.auth
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        return tuple(Secret(form) for form in (basic, f"{user}:{password}", password) if form)


_Network: TypeAlias = IPv4Network | IPv6Network


@attrs.frozen
class _Exclusion:
    """One entry of NO_PROXY: a network, or a name and all names under it; "" is every name."""

    name: str
    network: _Network | None
    port: int | None
    scheme: str | None

    def covers(self, scheme: str, host: str, port: int) -> bool:
        if self.port not in (None, port) or self.scheme not in (None, scheme):
            return False
        if self.network is not None:
            address = ip_of(host)
            return address is not None and address in self.network
        return not self.name or host == self.name or is_under(self.name, host)


@attrs.frozen
class Proxies:
    """What the environment says of proxies: a URL for each scheme, unread, and the addresses that need none."""

    _urls: Mapping[str, tuple[str, Secret]]
    _exclusions: tuple[_Exclusion, ...]
    _is_bypassed: Callable[[str], object] = lambda host: False
    """Whether the system's settings, should it be they who name the proxy, leave a host out."""

    def of(self, url: str) -> Proxy | None:
        """Return the proxy for an address, None if it is to be reached directly.

        Raises ConfigurationError if a proxy is named for it and cannot be used. An address that is none has no proxy.
        """
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").removesuffix("."), parts.port
        except ValueError:
            return None
        named = self._urls.get(parts.scheme) or self._urls.get("all")
        if named is None or is_loopback(host):
            return None
        host, port = _ascii(host), port or {"http": 80}.get(parts.scheme, 443)
        if any(each.covers(parts.scheme, host, port) for each in self._exclusions):
            return None
        if named[0] == _SYSTEM and self._is_bypassed(host):
            return None
        return _usable(*named, host)


@attrs.frozen
class SystemSettings:
    """What macOS and Windows say of proxies: a URL for each scheme, as `urllib` reads them, and whom they leave out."""

    urls: Mapping[str, str]
    is_bypassed: Callable[[str], object]


def system_settings(platform: str = sys.platform) -> SystemSettings | None:
    """Return the system's settings, None where there are none: anywhere but on macOS and Windows."""
    if platform not in ("darwin", "win32"):
        return None
    from urllib.request import getproxies, proxy_bypass  # which takes long to import

    urls = {scheme: url for scheme, url in getproxies().items() if scheme in ("http", "https", "all")}
    return SystemSettings(urls, proxy_bypass)


def read_proxies(environment: Mapping[str, str] | None = None, system: SystemSettings | None = None) -> Proxies:
    """Read the environment, and where it names no proxy, the system's settings. Raises nothing.

    Who gives an environment gives the system's settings as well, None for none.
    """
    system = system_settings() if environment is None else system
    named = _named(os.environ if environment is None else environment)
    exclusions = tuple(_exclusion(entry) for entry in re.split(r"[,\s]+", named.pop("no", ("", ""))[1]) if entry)
    if system is not None and not named:
        named = {scheme: (_SYSTEM, url) for scheme, url in system.urls.items()}
    urls = {scheme: (source, Secret(url)) for scheme, (source, url) in named.items()}
    return Proxies(urls, exclusions) if system is None else Proxies(urls, exclusions, system.is_bypassed)


def _named(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return variable and value for each of http, https, all and no. The lower case goes before any other, even empty.

    HTTP_PROXY in a CGI program is what a client wrote into its `Proxy:` header (CVE-2016-5385), and names none.
    """
    found: dict[str, tuple[str, str]] = {}
    for scheme in ("http", "https", "all", "no"):
        wanted = f"{scheme}_proxy"
        names = sorted((name for name in environment if name.lower() == wanted), reverse=True)
        if scheme == "http" and "REQUEST_METHOD" in environment:
            names = [name for name in names if name == wanted]
        if names and (value := environment[names[0]].strip()):
            found[scheme] = (f"${names[0]}", value)
    return found


def _exclusion(entry: str) -> _Exclusion:
    """Read an entry of NO_PROXY. One that means nothing is the name of no host."""
    scheme, _, rest = entry.lower().rpartition("://")
    network, port = _network(rest), None
    if network is None and (behind := _PORT_BEHIND.fullmatch(rest)) is not None:
        rest, port = behind[1], int(behind[2])
        network = _network(rest)
    name = rest.removeprefix("*").removeprefix(".").removesuffix(".")
    is_nothing = not name and rest != "*"
    return _Exclusion("?" if is_nothing else _ascii(name), network, port, None if scheme in ("", "all") else scheme)


def _network(text: str) -> _Network | None:
    with contextlib.suppress(ValueError):
        return ip_network(_IN_BRACKETS.sub(r"\1", text), strict=False)
    return None


def _ascii(name: str) -> str:
    """Return a host name in lower case as DNS has it, so that both ways to write one are the same."""
    if name.isascii():
        return name.lower()
    import idna

    with contextlib.suppress(idna.IDNAError):
        return idna.encode(name, uts46=True).decode("ascii")
    return name.lower()


def _usable(source: str, url: Secret, host: str) -> Proxy:
    proxy = _parsed(source, url)
    if isinstance(proxy, Proxy):
        return proxy
    raise ConfigurationError(
        f"The proxy that {source} names cannot be used: {proxy}. (Its value is not shown: it may hold a password.) "
        f"Correct it, unset it, or reach {host} without it: put that host into NO_PROXY."
    )


def _parsed(source: str, secret: Secret) -> Proxy | str:
    """Return the proxy, or what is wrong with its URL. It raises nothing, since its locals hold the password."""
    text = secret.reveal()
    text = text if "://" in text else f"http://{text}"
    if any(ord(character) <= 32 or ord(character) == 127 for character in text):
        return "it holds blanks or control characters"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "its host or port cannot be read (a port is a number up to 65535)"
    if parts.scheme not in _SCHEMES:
        return "its protocol is not http, https, socks5 or socks5h"
    if "@" in parts.path + parts.query + parts.fragment:
        return "a special character in its user name or password has to be percent-encoded"
    host = _proxy_host(parts.hostname or "")
    if host is None or port == 0:
        return "it names no host and port that can exist"
    scheme, usual = _SCHEMES[parts.scheme]
    if scheme == "socks5" and importlib.util.find_spec("socksio") is None:
        return 'SOCKS needs another package: pip install "httpx[socks]"'
    user = None if parts.username is None else Secret(unquote(parts.username))
    password = None if parts.password is None else Secret(unquote(parts.password))
    return Proxy(source, scheme, host, port or usual, user, password)


def _proxy_host(host: str) -> str | None:
    shown = f"[{host}]" if ":" in host else host
    try:
        return address_of(f"http://{shown}/").host if host else None
    except TransportFailure:
        return None


def check_clear(proxy: Proxy | None, request: HttpRequest) -> None:
    """Raise ConfigurationError if a proxy would see a key: it sees all that goes over plain http."""
    if proxy is not None and request.secrets and request.url.lower().startswith("http:"):
        host = urlsplit(request.url).hostname
        raise ConfigurationError(
            f"The key would go in the clear to the proxy that {proxy.source} names. Reach {host} without it: put that "
            "host into NO_PROXY."
        )


def through(proxy: Proxy | None, problem: Exception) -> Exception:
    """Return a failure with the proxy in it that it happened behind, so that nobody looks for it at the vendor."""
    if proxy is None or not isinstance(problem, TransportFailure):
        return problem
    words = str(problem)
    for secret in proxy.secrets:
        words = words.replace(secret.reveal(), "***")
    words = f"Through the proxy {proxy.url} (named by {proxy.source}): {words}"
    return TransportFailure(words, stage=problem.stage, kind=problem.kind)
