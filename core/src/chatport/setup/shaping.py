"""From a call to the bytes of its request: the two shaping chains, and the checks around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

import attrs
import msgspec

from .. import jsoncodec
from ..basics.secret import Secret
from ..basics.typed import expect
from ..basics.version import __version__
from ..call import Call, Context, WireRequest, WireTools
from ..decoding.body import ACCEPT_ENCODING
from ..engine.commands import HttpRequest
from ..errors import BadRequestError, ChatportError, ConfigurationError, PluginError, UnsupportedFeatureError
from ..plugins.guarding import giver_of, guarded
from ..plugins.plan import Plan
from .origins import check_way, header_problem, origin
from .vendor import Vendor

__all__ = [
    "blame_shape",
    "check_content",
    "encoded",
    "http_request",
    "plain_wire",
    "refuse_losses",
    "shape",
    "shape_whole",
    "with_call_headers",
    "written",
]

_UNWRITABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)


def shape(plan: Plan, call: Call, context: Context) -> tuple[WireRequest, WireTools]:
    """Run the two shaping chains. An exception of a hook that is no ChatportError becomes a PluginError.

    A BadRequestError instead, where the call has a schema that nobody can make sense of.
    """
    try:
        tools: WireTools = guarded(context, "translate_tools", plan.translate_tools, call, context) or WireTools()
        wire: WireRequest = guarded(context, "shape_request", plan.shape_request, call, tools, context)
    except PluginError as error:
        if not isinstance(error.__cause__, UnicodeEncodeError):  # half an emoji in it can be mended
            _blame_schema(call, context, error)
        raise
    if call.adjustments:
        wire = attrs.evolve(wire, adjustments=(*call.adjustments, *wire.adjustments))
    return wire, tools


def shape_whole(plan: Plan, call: Call, context: Context) -> tuple[Call, WireRequest, WireTools, bytes | None]:
    """Return what `shape` gives, the call that was shaped, and the body as JSON where it can be written.

    A call with half an emoji in a text cannot be: it is made whole, and shaped once more.
    """
    failure: PluginError | None = None
    try:
        wire, tools = shape(plan, call, context)
        content = written(wire)
    except PluginError as error:
        if not isinstance(error.__cause__, UnicodeEncodeError):
            raise
        failure, content = error, None
    if content is None:
        from ..inputs.halves import whole_call  # few texts have a half

        whole = whole_call(call)
        if whole is not call:
            return whole, *shape(plan, whole, context), None
    if failure is not None:
        raise failure
    return call, wire, tools, content


def written(wire: WireRequest) -> bytes | None:
    """Return the body as JSON, None where it cannot be written."""
    try:
        return b"" if wire.method == "GET" else jsoncodec.encode(wire.body)
    except _UNWRITABLE:
        return None


def blame_shape(error: ChatportError, call: Call, tools: WireTools, context: Context, vendor: Vendor) -> None:
    """Note on an error which hook has made of the request what cannot be sent, unless the caller's own did."""

    def cannot_be_sent(wire: Any) -> bool:
        try:
            http_request(wire, vendor, encoded(wire, "")[1])
        except ChatportError:
            return True
        return False

    giver = giver_of(vendor.plan.shape_request, (call, tools, context), cannot_be_sent)
    error.raised_by = f"the shape_request hook {giver}" if giver else ""


def _blame_schema(call: Call, context: Context, error: PluginError) -> None:
    """Raise BadRequestError if a hook failed on a schema that is itself at fault."""
    from ..inputs.faults import fault_of  # only a failure needs it

    fault = fault_of(call) if error.__cause__ is not None else None
    if fault is not None:
        raise BadRequestError(
            f"{fault}: {context.provider.title} takes no such schema as it is, and it cannot be fitted.",
            provider=context.provider.name,
            model=context.model,
        ) from error.__cause__


def encoded(wire: WireRequest, provider: str) -> tuple[WireRequest, bytes]:
    """Return the request and its body as JSON. Raises ConfigurationError for what JSON does not have.

    Halves of surrogate pairs that are still there came from a hook: they are replaced, with a warning.
    """
    if wire.method == "GET":
        return wire, b""
    try:
        try:
            return wire, jsoncodec.encode(wire.body)
        except UnicodeEncodeError:
            body = jsoncodec.without_halves(wire.body)
            content = jsoncodec.encode(body)
    except _UNWRITABLE as error:
        raise ConfigurationError(f"The request cannot be written as JSON: {error}.", provider=provider) from None
    from ..inputs.halves import places_of_halves  # few texts have a half

    reason = "halves of surrogate pairs cannot be written, and are replaced"
    return attrs.evolve(wire, body=body).note("invalid", places_of_halves(wire.body)[0], reason), content


def plain_wire(
    method: str, path: str, body: Mapping[str, Any] | None, content: bytes, headers: Mapping[str, str] | None
) -> tuple[WireRequest, bytes]:
    """Return a request that is no call of a model, and its bytes. Raises BadRequestError for what is none."""
    expect(path, str, "path is a text", BadRequestError)
    if path[:1] != "/" or ".." in path:
        raise BadRequestError(f"path begins with a slash, and stays below the base URL: not {path!r:.80}.")
    if body is not None and content:
        raise BadRequestError("Give either body, which is sent as JSON, or content, which is sent as it is.")
    wire = WireRequest(path, {} if body is None else body, method, dict(headers or {}))
    return wire, encoded(wire, "")[1] if body is not None else content


def http_request(wire: WireRequest, vendor: Vendor, content: bytes) -> HttpRequest:
    """Return the request with address, headers and body; the key stays apart until the transport writes it."""
    url = vendor.base_url + wire.path
    if wire.path.startswith("/../"):  # a place beside the last step of the base URL (RFC 3986, 5.2.4)
        url = urljoin(f"{vendor.base_url}/", wire.path[1:])
    # Behind a base URL a path that begins with a slash cannot change the host; any other text might.
    if (wire.path[:1] != "/" or "/../" in wire.path) and origin(url) != origin(vendor.base_url):
        raise PluginError(
            f"A hook of {vendor.provider.name} sends to another origin than {vendor.base_url}.",
            provider=vendor.provider.name,
        )
    if vendor.query:
        url += f"{'&' if '?' in url else '?'}{vendor.query}"
    kind = (wire.stream, bool(content))
    headers = None if wire.headers else vendor.usual_headers.get(kind)
    if headers is None:
        headers = _headers(wire, bool(content), vendor)
        if not wire.headers:
            vendor.usual_headers[kind] = headers
    return HttpRequest(wire.method, url, headers, content, vendor.auth, (), vendor.secret_query)


def with_call_headers(request: HttpRequest, given: Sequence[tuple[str, str | Secret]], vendor: Vendor) -> HttpRequest:
    """Return a request with the caller's own headers, in the place of any others of these names.

    One in the place of the key's is meant if it is a Secret, or if there is no key. Raises BadRequestError where it is
    not, and ConfigurationError where a secret would be sent in the clear.
    """
    from ..inputs.headers import is_key_like  # few calls have headers of their own

    name = vendor.provider.auth.header.lower()
    texts, secrets, auth = dict(request.headers), dict[str, Secret](), request.auth
    for header, value in given:
        texts.pop(header, None)
        if header == name:
            if auth is not None and not isinstance(value, Secret):
                del given, value, texts  # a traceback may show locals
                raise _unmeant_key(header, vendor)
            auth = (header, "", value if isinstance(value, Secret) else Secret(value))
        elif isinstance(value, Secret) or is_key_like(header):
            secrets[header] = value if isinstance(value, Secret) else Secret(value)
        else:
            texts[header] = value
    if (secrets or auth is not request.auth) and not vendor.config.allow_plain_http:
        check_way(vendor.provider.name, vendor.base_url)
    return attrs.evolve(request, headers=tuple(texts.items()), auth=auth, secret_headers=tuple(secrets.items()))


def _unmeant_key(header: str, vendor: Vendor) -> BadRequestError:
    name = vendor.provider.name
    return BadRequestError(
        f"The header {header!r} is where the key of [providers.{name}] goes. If this call is to use another key, say "
        f"so: headers={{{header!r}: chatport.Secret(...)}}. Nothing was sent.",
        provider=name,
    )


def _headers(wire: WireRequest, has_content: bool, vendor: Vendor) -> tuple[tuple[str, str], ...]:
    """Return all headers but the key's: ours, the configuration's, the hooks'. Raises ConfigurationError."""
    merged = {
        "accept": "text/event-stream" if wire.stream else "application/json",
        "accept-encoding": "identity" if wire.stream else ACCEPT_ENCODING,
        "user-agent": f"chatport/{__version__}",
    }
    if has_content:
        merged["content-type"] = "application/json"
    for headers in (vendor.headers(), wire.headers):
        merged.update({name.lower(): value for name, value in headers.items()})
    problems = [header_problem(name, value, vendor.provider.name) for name, value in merged.items()]
    wrong = next(filter(None, problems), None)
    if wrong is not None:
        del merged  # and the loop's own variables are gone with it
        raise wrong
    if vendor.auth is not None:
        merged.pop(vendor.auth[0].lower(), None)
    return tuple(merged.items())


def check_content(call: Call, context: Context) -> None:
    """Raise UnsupportedFeatureError for content the model is known not to take: dropping it would be silently wrong."""
    takes = context.facts.input
    if not takes:
        return
    from ..standard.content import content_kind

    for number, message in enumerate(call.messages):
        for part in message.content:
            kind = content_kind(part)
            if kind is not None and kind not in takes:
                article = "an" if kind[0] in "aeiou" else "a"
                raise UnsupportedFeatureError(
                    f"{context.model} takes {', '.join(takes)}, and messages[{number}] has {article} {kind} part.",
                    provider=context.provider.name,
                    model=context.model,
                )


def refuse_losses(wire: WireRequest, context: Context) -> None:
    lost = [note for note in wire.adjustments if note.kind in ("dropped", "lowered")]
    if lost:
        raise UnsupportedFeatureError(
            "Not everything can be sent as asked: " + "; ".join(str(note) for note in lost) + ".",
            provider=context.provider.name,
            model=context.model,
        )
