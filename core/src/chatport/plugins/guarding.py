"""Whose fault it is when a hook fails, or gives what it must not: the error names hook, plugin and package.

An exception that is not ours becomes a PluginError. One of ours stays what it is, and tells in `raised_by` who raised
it: a patch that refuses a request must not look like the vendor. What a chain gives is checked here too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from .. import jsoncodec
from ..call import Context
from ..errors import ChatportError, PluginError
from .installed import package_of
from .plan import origin_of, run_again
from .results import PLAIN_VALUES, problem_of

__all__ = ["blamed", "giver_of", "guarded", "hook_error", "place_of", "wrong_result"]

_SHOWN = 600
_NO_PLUGINS = sys.stdlib_module_names | {"chatport", "pluggy", "attr", "attrs", "msgspec"}
"""Top-level modules in which no plugin is, though a plugin's mistake may show itself there."""


def guarded(context: Context, hook: str, chain: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a hook chain gives. Raises PluginError where it fails, or gives something else than the hook's value.

    A generator is run to its end here, where it is known whose it is.
    """
    try:
        result = chain(*arguments)
        if type(result) is not list and hasattr(result, "__next__"):
            result = list(result)
    except Exception as error:
        problem = blamed(context, hook, error)
        if problem is error:
            raise
        raise problem from problem.__cause__
    if type(result) is not PLAIN_VALUES.get(hook) and problem_of(hook, result) is not None:
        raise wrong_result(hook, result, chain, arguments, context)
    return result


def blamed(context: Context, hook: str, error: Exception) -> ChatportError:
    """Return what an exception out of a hook chain becomes: itself if it is ours, else a PluginError it has caused."""
    if isinstance(error, ChatportError):
        error.provider = error.provider or context.provider.name
        error.model = error.model or context.model
        _blame(error, hook)
        return error
    problem = hook_error(hook, error, context)
    problem.__cause__ = error.with_traceback(_less_ours(error.__traceback__))
    return problem


def _less_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the core's frames at its top, whose locals hold what was sent and received."""
    while trace is not None and trace.tb_next is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _is_ours(trace: TracebackType) -> bool:
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.startswith("chatport.") and not module.startswith("chatport.standard.")


def _blame(error: ChatportError, hook: str) -> None:
    """Note on an error of ours which plugin's hook has raised it. The standard dialect is the core's own word."""
    if not error.raised_by:
        found = place_of(error)
        if found and not found.startswith("chatport."):
            error.raised_by = f"the {hook} hook {_whose(found)}"


def hook_error(hook: str, error: Exception, context: Context) -> PluginError:
    """Return the error that says which hook, of which plugin and package, has failed. It is not the caller's fault."""
    words = f"{type(error).__name__}: {_short(str(error))}"
    found = place_of(error)
    place = f" That was in {_whose(found)}." if found else ""
    return PluginError(
        f"A {hook} hook of {context.provider.name} failed: {words}.{place}",
        provider=context.provider.name,
        model=context.model,
    )


def wrong_result(
    hook: str, result: Any, chain: Callable[..., Any], arguments: tuple[Any, ...], context: Context
) -> PluginError:
    """Return the error for a chain that gave what its hook does not give, with the plugin that began it.

    The chain is run once more for that: hooks are pure.
    """
    giver = giver_of(chain, arguments, lambda given: problem_of(hook, given) is not None)
    place = f" That was in {giver}." if giver else ""
    return PluginError(
        f"A {hook} hook of {context.provider.name} gave {problem_of(hook, result)}.{place}",
        provider=context.provider.name,
        model=context.model,
    )


def giver_of(chain: Callable[..., Any], arguments: tuple[Any, ...], is_wrong: Callable[[Any], bool]) -> str:
    """Return the plugin, with its package, that is the first in a chain to give something wrong; empty if none is.

    The chain is run again, from the inside out. If the standard dialect is the first, the caller has asked for it.
    """
    givers: list[str] = []

    def look(function: Callable[..., Any], given: Any) -> None:
        if not givers and is_wrong(given):
            givers.append(origin_of(function))

    with suppress(Exception):
        run_again(chain, arguments, look)
    return _whose(givers[0]) if givers and not givers[0].startswith("chatport.") else ""


def place_of(error: BaseException) -> str:
    """Return the function of the plugin in which an error was raised; empty if there is none.

    It is the last step that is neither ours nor Python's own. A wrapper through which the error of an inner step has
    only passed is none: between the two stands a step of the plan.
    """
    own = getattr(error, "wrapper", None)
    if own is not None:
        return origin_of(own)
    found = ""
    for module, name in _steps(error):
        if module == "chatport.plugins.plan":
            found = ""
        elif module.partition(".")[0] not in _NO_PLUGINS or (not found and module.startswith("chatport.standard.")):
            found = f"{module}.{name}"
    return found


def _steps(error: BaseException) -> Iterator[tuple[str, str]]:
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        yield str(frame.f_globals.get("__name__", "")), frame.f_code.co_qualname
        trace = trace.tb_next


def _whose(found: str) -> str:
    package = package_of(found)
    return f"{found}, of {package}" if package else found


def _short(text: str) -> str:
    text = jsoncodec.whole(text.strip())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
