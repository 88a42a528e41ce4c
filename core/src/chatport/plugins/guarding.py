"""What becomes of an exception in a hook: an error that names the hook, the plugin and its package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .. import jsoncodec
from ..call import Context
from ..errors import ChatportError, PluginError
from .installed import package_of

__all__ = ["blamed", "guarded", "hook_error", "tolerated"]

_SHOWN = 600
_NO_PLUGINS = sys.stdlib_module_names | {"chatport", "pluggy", "attr", "attrs", "msgspec"}
"""Top-level modules in which no plugin is, though a plugin's mistake may show itself there."""


def guarded(context: Context, hook: str, run: Callable[..., Any], *arguments: Any) -> Any:
    """Run a hook chain; an exception that is not ours becomes a PluginError that names the hook."""
    try:
        return run(*arguments)
    except Exception as error:
        problem = blamed(context, hook, error)
        if problem is error:
            raise
        raise problem from problem.__cause__


def blamed(context: Context, hook: str, error: Exception) -> ChatportError:
    """Return what an exception out of a hook chain becomes: itself if it is ours, else a PluginError it has caused."""
    if isinstance(error, ChatportError):
        error.provider = error.provider or context.provider.name
        error.model = error.model or context.model
        return error
    problem = hook_error(hook, error, context)
    problem.__cause__ = error.with_traceback(_less_ours(error.__traceback__))
    return problem


def tolerated(
    context: Context, hook: str, tell: Callable[[PluginError], None], run: Callable[..., Any], *arguments: Any
) -> Any:
    """Run a hook that only looks on: its failure, of whatever class, is told and no more, and None is its result."""
    try:
        return run(*arguments)
    except Exception as error:
        tell(hook_error(hook, error, context))
        return None


def _less_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the core's frames at its top, whose locals hold what was sent and received."""
    while trace is not None and trace.tb_next is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _is_ours(trace: TracebackType) -> bool:
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.startswith("chatport.") and not module.startswith("chatport.standard.")


def hook_error(hook: str, error: Exception, context: Context) -> PluginError:
    """Return the error that says which hook, of which plugin and package, has failed. It is not the caller's fault."""
    words = f"{type(error).__name__}: {_short(str(error))}"
    return PluginError(
        f"A {hook} hook of {context.provider.name} failed: {words}.{_place_of(error)}",
        provider=context.provider.name,
        model=context.model,
    )


def _place_of(error: Exception) -> str:
    """Return a sentence on the plugin in which an error was raised: the last step neither ours nor Python's own."""
    found, trace = "", error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        is_plugin = module.partition(".")[0] not in _NO_PLUGINS
        if is_plugin or (not found and module.startswith("chatport.standard.")):
            found = f"{module}.{trace.tb_frame.f_code.co_qualname}"
        trace = trace.tb_next
    if not found:
        return ""
    package = package_of(found)
    return f" That was in {found}, of {package}." if package else f" That was in {found}."


def _short(text: str) -> str:
    text = jsoncodec.whole(text.strip())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
