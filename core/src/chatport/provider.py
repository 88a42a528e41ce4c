"""What a provider package registers: one value that says where the vendor is and which hooks it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from .basics.frozen import freeze_fields
from .basics.typed import check_fields
from .basics.values import Value
from .errors import BadRequestError, ConfigurationError
from .facts.file import Facts
from .facts.rules import FieldRule

__all__ = ["Auth", "Dialect", "Discovery", "FieldRule", "Prefill", "Protocol", "Provider"]


@attrs.frozen(eq=False, repr=False)
class Auth(Value):
    """How the key is sent: in which header, after which prefix. A key is never sent in a URL."""

    header: str = "authorization"
    prefix: str = "Bearer "
    required: bool = True

    def __attrs_post_init__(self) -> None:
        check_fields(self, ConfigurationError)


@attrs.frozen(eq=False, repr=False)
class Prefill(Value):
    """How a vendor is told to go on from the beginning of an answer, which is the last assistant message.

    `message` are fields of that message, `body` fields of the request. `fact` is where the vendor documents it.
    """

    message: Mapping[str, Any] = attrs.field(factory=dict)
    body: Mapping[str, Any] = attrs.field(factory=dict)
    fact: str = ""

    def __attrs_post_init__(self) -> None:
        check_fields(self, ConfigurationError)
        freeze_fields(self, "message", "body", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class Dialect(Value):
    """What the standard hooks do differently for a provider: data, so that most vendors need little code.

    `max_tokens_field`: the body field of the output limit. `developer_role`: the role a `developer` message is sent
    as, `system_role`: the same for `system`. `include_usage`: ask for usage at the end of a stream.
    `reasoning_field`: the field in which earlier reasoning of this provider goes back, None: it does not.
    `reasoning_tags`: the two texts between which reasoning stands at the beginning of an answer's text, None: nowhere.
    `reasoning_budget_field`: the field for a reasoning budget in tokens, None: there is none. `finish_reasons`: the
    vendor's words beyond the standard ones, mapped to ours. `request_id_headers`: where the vendor puts its request
    id. `stop_limit`: how many stop strings it takes. `cost_field`: where its usage says what was charged, in USD.
    `chat_path`, `models_path`, `embeddings_path`: below the base URL, None where the vendor has no such thing; in the
    first and the last `{model}` is the model of the call.
    `fields`: body fields that the vendor does not take as they are, by name. `prefill`: how an answer is continued
    from its beginning, None: the vendor documents no way. `idempotency_header`: the header in which the vendor takes
    a key that makes a repeated request safe. `empty_is_error`: an answer that ends in order with nothing in it is a
    failure of the vendor's, to be tried again, and no empty reply.
    """

    max_tokens_field: str = "max_tokens"
    system_role: str = "system"
    developer_role: str = "system"
    include_usage: bool = True
    reasoning_field: str | None = None
    reasoning_tags: tuple[str, str] | None = None
    reasoning_budget_field: str | None = None
    finish_reasons: Mapping[str, str] = attrs.field(factory=dict)
    request_id_headers: tuple[str, ...] = ("x-request-id", "request-id")
    stop_limit: int | None = None
    cost_field: str | None = None
    chat_path: str = "/chat/completions"
    models_path: str | None = "/models"
    embeddings_path: str | None = "/embeddings"
    fields: Mapping[str, FieldRule] = attrs.field(factory=dict)
    prefill: Prefill | None = None
    idempotency_header: str | None = None
    empty_is_error: bool = False

    def __attrs_post_init__(self) -> None:
        check_fields(self, ConfigurationError)
        if self.reasoning_tags is not None and not all(self.reasoning_tags):
            raise ConfigurationError("reasoning_tags are two texts, and neither is empty.")
        freeze_fields(self, "finish_reasons", "fields", error=BadRequestError)

    @staticmethod
    def path_of(path: str, model: str) -> str:
        """Return one of the paths for a model, whose name is written so that it is one step of it."""
        return path.replace("{model}", quote(model, safe="")) if "{model}" in path else path


@attrs.frozen(eq=False, repr=False)
class Discovery(Value):
    """A server that was found: the installed provider that speaks to it, its address, its models.

    `settings` are laid under the provider's own table: what the search has learnt about the server.
    """

    provider: str
    base_url: str
    models: tuple[str, ...] = ()
    settings: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_fields(self, ConfigurationError)
        freeze_fields(self, "settings", error=BadRequestError)


@attrs.frozen(eq=False, repr=False)
class Protocol(Value):
    """A further way in which a vendor can be spoken to, besides the one that a provider's value is made for.

    `name` is what the setting `protocol`, the facts and `explain` call it (`chat`, `responses`, `messages`). `form`
    gives the provider as it speaks that protocol: with other hooks, another dialect, whatever differs there.
    `native`: the vendor speaks it as well as its usual one, so that a call which came in it (`Native`) goes out in it.
    """

    name: str
    form: Callable[[Provider], Provider] = attrs.field(repr=False)
    native: bool = False


@attrs.frozen(eq=False, repr=False)
class Provider(Value):
    """A provider as its package registers it under the entry point group `chatport.providers`.

    `hosts` are the vendor's own host names, to which its key may go ("*.example.com" covers subdomains); the
    host of `base_url` is among them unnamed. `key_env` and `base_url_env` are tried in order; `auth_env` says how a key
    from one of these variables is sent, where that differs from `auth`. `hooks` are modules or
    objects with `@hookimpl` functions. `settings` names the vendor's own keys in `[providers.NAME]` and says
    what each is for. `emulator` is "module:Class", imported only when asked for. `timeouts` are defaults that
    suit this vendor better than the general ones (seconds, names as in the `[timeouts]` table).

    `settings_env` names the environment variable that fills a setting which the configuration leaves out. `headers`
    are sent with every request. `settings_headers` names the header in which a setting is sent with every request
    of the provider. `locate` gives the base URL from the settings, for vendors whose host depends on them (None:
    `base_url` holds). `adapt` gives another form of the provider from its settings, where these say more than
    data can. Where `base_url` is among `settings`, both see the user's own there, and `locate` may complete it within
    its origin. `is_own_server`: it stands for servers that people run themselves, so that at an address of their own
    (this machine, a private network) it costs nothing. `discover` looks for running servers, best first, when no base
    URL is configured. It may block: core runs it off the event loop, once.

    `protocol` is the name of the protocol that the value speaks, `protocols` are the others that the vendor knows.
    Which one a call takes is said by the facts (`protocol` among a model's rules), or by the user's setting `protocol`.
    """

    name: str
    title: str
    base_url: str
    hosts: tuple[str, ...] = ()
    key_env: tuple[str, ...] = ()
    base_url_env: tuple[str, ...] = ()
    auth: Auth = attrs.field(factory=Auth)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    dialect: Dialect = attrs.field(factory=Dialect)
    facts: Facts | None = attrs.field(default=None, repr=False)
    hooks: tuple[Any, ...] = attrs.field(default=(), repr=False)
    settings: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    settings_env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    settings_headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    locate: Callable[[Mapping[str, Any]], str | None] | None = attrs.field(default=None, repr=False)
    adapt: Callable[[Provider, Mapping[str, Any]], Provider] | None = attrs.field(default=None, repr=False)
    discover: Callable[[Mapping[str, Any]], Sequence[Discovery]] | None = attrs.field(default=None, repr=False)
    timeouts: Mapping[str, float] = attrs.field(factory=dict, repr=False)
    emulator: str | None = None
    hook_api: int = 1
    auth_env: Mapping[str, Auth] = attrs.field(factory=dict, repr=False)
    is_own_server: bool = False
    protocol: str = "chat"
    protocols: tuple[Protocol, ...] = attrs.field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        check_fields(self, ConfigurationError)
        fields = ("headers", "settings", "settings_env", "settings_headers", "timeouts", "auth_env")
        freeze_fields(self, *fields, error=BadRequestError)
