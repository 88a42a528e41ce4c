"""A provider's hook chains, compiled once into bound callables.

pluggy decides: it checks, orders and blocks the implementations. What is compiled here keeps its calling rules
exactly (a property test holds the two equal), without a dictionary of arguments, a list of results or a
manager on the way: wrappers are nested around a loop over plain implementations, and a chain with a single plain
implementation is that function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import attrs
import pluggy

from ..basics.values import Value

__all__ = ["Plan", "compile_chain", "compile_plan", "nothing", "origin_of", "run_again"]

_Function = Callable[..., Any]
_Look = Callable[[_Function, Any], None]


@attrs.frozen(eq=False, repr=False)
class Plan(Value):
    """The compiled chains of one provider; each is called with the hook's arguments in the order of the contract."""

    describe_model: _Function
    translate_tools: _Function
    shape_request: _Function
    decode_chunk: _Function
    decode_reply: _Function
    classify_error: _Function
    parse_models: _Function
    read_rate_limits: _Function
    observe: _Function


class _BrokenWrapper(RuntimeError):
    """A wrapper that does not yield once. `wrapper` is its function: the error has no step in it."""

    def __init__(self, wrapper: _Function, what: str) -> None:
        super().__init__(f"hook wrapper {origin_of(wrapper)} {what}")
        self.wrapper = wrapper


class _SecondYield(_BrokenWrapper):
    """A wrapper yielded twice: a broken plugin, which nothing may hide."""

    def __init__(self, wrapper: _Function) -> None:
        super().__init__(wrapper, "has a second yield")


def compile_plan(manager: pluggy.PluginManager) -> Plan:
    """Return the plan of a manager in which the provider's chain is registered."""
    return Plan(**{field.name: _compile(getattr(manager.hook, field.name)) for field in attrs.fields(Plan)})


def _compile(caller: pluggy.HookCaller) -> _Function:
    spec = caller.spec
    assert spec is not None, "every hook of the plan has a specification"
    first = bool(spec.opts.get("firstresult"))
    return compile_chain(caller.get_hookimpls(), spec.argnames, firstresult=first)


def compile_chain(impls: Sequence[pluggy.HookImpl], argnames: Sequence[str], *, firstresult: bool) -> _Function:
    """Return one callable for a list of implementations in pluggy's order (called from the last to the first)."""
    chain = _linked(impls, argnames, _bind, firstresult)
    if len(impls) > 1:  # else it may be the plugin's own function, and nobody else can be meant
        vars(chain)["again"] = lambda bind: _linked(impls, argnames, bind, firstresult)
    return chain


def _linked(impls: Sequence[pluggy.HookImpl], argnames: Sequence[str], bind: Any, firstresult: bool) -> _Function:
    plain = [bind(impl, argnames) for impl in reversed(impls) if not impl.wrapper]
    chain = _first_result(plain) if firstresult else _all_results(plain)
    for impl in impls:  # the last wrapper is the outermost
        if impl.wrapper:
            chain = _wrap(bind(impl, argnames), impl.function, chain)
    return chain


def run_again(chain: _Function, arguments: Sequence[Any], look: _Look) -> None:
    """Run a chain with somebody who looks at what each implementation gives, from the inside out. For failures only."""
    again = getattr(chain, "again", None)
    if again is not None:
        again(lambda impl, argnames: _watched(impl, argnames, look))(*arguments)


def _watched(impl: pluggy.HookImpl, argnames: Sequence[str], look: _Look) -> _Function:
    function = _bind(impl, argnames)

    def plain(*args: Any) -> Any:
        result = function(*args)
        result = list(result) if hasattr(result, "__next__") else result
        look(impl.function, result)
        return result

    def wrapper(*args: Any) -> Generator[None, Any, Any]:
        result = yield from function(*args)
        look(impl.function, result)
        return result

    return wrapper if impl.wrapper else plain


def origin_of(function: _Function) -> str:
    """Return where a function is from: its module and its name there."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__name__)}"


def _bind(impl: pluggy.HookImpl, argnames: Sequence[str]) -> _Function:
    """Return the implementation as a callable of all the hook's arguments, whichever of them it names."""
    wanted = [*impl.argnames, *(name for name in impl.kwargnames if name in argnames)]
    function = impl.function
    if wanted == list(argnames):
        return function
    places = [argnames.index(name) for name in impl.argnames]
    keywords = [(name, argnames.index(name)) for name in impl.kwargnames if name in argnames]
    if wanted == list(argnames[: len(wanted)]) and not keywords and 0 < len(wanted) <= len(_FIRST):
        return _FIRST[len(wanted) - 1](function)
    if not keywords:
        return lambda *args: function(*[args[place] for place in places])
    return lambda *args: function(*[args[place] for place in places], **{name: args[at] for name, at in keywords})


_FIRST: tuple[Callable[[_Function], _Function], ...] = (
    lambda function: lambda a, *rest: function(a),
    lambda function: lambda a, b, *rest: function(a, b),
    lambda function: lambda a, b, c, *rest: function(a, b, c),
)
"""How a function is called that names only the first arguments: spelled out, in a third of the time."""


def _first_result(functions: list[_Function]) -> _Function:
    if len(functions) == 1:
        return functions[0]

    def call(*args: Any) -> Any:
        for function in functions:
            result = function(*args)
            if result is not None:
                return result
        return None

    return call


def nothing(*args: Any) -> list[Any]:
    """Stand for a chain of no implementations. By its name one knows that its arguments need not be put together."""
    return []


def _all_results(functions: list[_Function]) -> _Function:
    if not functions:
        return nothing

    def call(*args: Any) -> list[Any]:
        return [result for function in functions if (result := function(*args)) is not None]

    return call


def _wrap(wrapper: Callable[..., Generator[None, Any, Any]], original: Any, inner: _Function) -> _Function:
    def call(*args: Any) -> Any:
        generator = wrapper(*args)
        try:
            next(generator)
        except StopIteration:
            raise _BrokenWrapper(original, "did not yield") from None
        try:
            result = inner(*args)
        except _SecondYield:
            raise  # pluggy stops here at once: no other wrapper gets to see it
        except BaseException as error:
            return _throw(generator, original, error)
        try:
            generator.send(result)
        except StopIteration as stop:
            return stop.value
        generator.close()
        raise _SecondYield(original)

    return call


def _throw(generator: Generator[None, Any, Any], original: Any, error: BaseException) -> Any:
    try:
        generator.throw(error)
    except StopIteration as stop:
        return stop.value
    except RuntimeError as raised:
        # A generator cannot let a StopIteration through: Python turns it into this error, which means "unchanged".
        if isinstance(error, StopIteration) and raised.__cause__ is error:
            raise error from None
        raise
    generator.close()
    raise _SecondYield(original)
