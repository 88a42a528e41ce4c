"""Which key may go with which address: each has a source, and not every two of them were meant for each other.

* A key that a file or an argument states goes to the address that one of them states, or to the vendor.
* `LLM_API_KEY` goes to `LLM_BASE_URL` (or `BASE_URL`), and nothing else does. Without an address beside it, it goes to
  the own hosts of the vendor that `LLM_PROVIDER` names.
* A vendor's own key goes to that vendor's hosts, and to this machine where a file or an argument says so. The vendor's
  own variable for its address is taken at its word, as the vendor's own programs do.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..errors import ConfigurationError
from ..provider import Provider
from .config import ProviderConfig
from .keys import Reference, kind_of
from .origins import host_of, is_own_host, is_vendor_host

__all__ = ["GENERAL_KEY", "Address", "check_pair", "source_of_key"]

GENERAL_KEY = "LLM_API_KEY"


class Address(msgspec.Struct, frozen=True):
    """A base URL, and in words where it comes from. `is_vendors_word`: from its package, or a variable of its own."""

    url: str
    source: str
    is_vendors_word: bool = False


def check_pair(provider: Provider, table: ProviderConfig, variable: str | None, address: Address) -> None:
    """Raise ConfigurationError if a provider's key was not meant for the address. Nothing is read for it.

    `variable` is the environment's that holds the key, where one does.
    """
    if _is_general_key(table):
        is_meant = table.base_url is not None or is_own_host(provider, address.url)
    elif table.base_url_variable is not None and (variable is not None or table.key_sources):
        is_meant = is_vendor_host(provider, address.url)
    elif not _is_vendors_key(table, variable):
        return
    else:
        is_meant = address.is_vendors_word or is_own_host(provider, address.url)
    if not is_meant:
        raise ConfigurationError(_mismatch(provider, table, variable, address), provider=provider.name)


def _is_general_key(table: ProviderConfig) -> bool:
    key = table.api_key
    return isinstance(key, Reference) and key.bound and key.get("env") == GENERAL_KEY


def _is_vendors_key(table: ProviderConfig, variable: str | None) -> bool:
    """Whether nobody but a variable of the vendor says the key, or a file that is not trusted names that variable."""
    if table.api_key is None:
        return variable is not None
    return isinstance(table.api_key, Reference) and table.api_key.bound


def _mismatch(provider: Provider, table: ProviderConfig, variable: str | None, address: Address) -> str:
    host, name, general = host_of(address.url), provider.name, table.base_url_variable
    key = source_of_key(table, variable)
    if _is_general_key(table):
        return (
            f"$LLM_API_KEY goes to the address that LLM_BASE_URL names, and that is not set; {address.source} has "
            f"{name} be at {host}. Set LLM_BASE_URL beside it, or unset LLM_API_KEY, or state the key in "
            f"[providers.{name}] api_key."
        )
    if general is not None:
        return (
            f"${general} has requests go to {host}, which is no host of {provider.title}, and the key is another's: "
            f"{key}. They may be meant for different programs, so nothing is sent. Unset {general}; or set LLM_API_KEY "
            f"to the key for {host}; or state the address in [providers.{name}] base_url, with its api_key."
        )
    own = host_of(provider.base_url) or provider.title
    return (
        f"{key} is a key for {own}, and [providers.{name}] sends to {host}. If that host may "
        f'have it, say so: api_key = {{ env = "{variable}" }}, in a file that is trusted.'
    )


def source_of_key(table: ProviderConfig, variable: str | None) -> str:
    """Return in words where a provider's key comes from; never the key."""
    if variable is not None:
        return f"${variable}"
    if isinstance(table.api_key, Mapping):
        return f"a {kind_of(table.api_key)}, by the configuration"
    return "none" if table.api_key is None else "the configuration itself"
