"""The compiled chains keep pluggy's calling rules."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import attrs
import pluggy
import pytest
from hypothesis import example, given, settings, strategies as st

from chatport.hooks import ProviderHooks
from chatport.plugins.plan import Plan, compile_chain, compile_plan
from chatport.plugins.registry import build_plan
from chatport.provider import Provider

spec = pluggy.HookspecMarker("t")
impl = pluggy.HookimplMarker("t")
Log = list[Any]


class Problem(Exception):
    """Raised by implementations; carries who raised it."""


class FirstSpec:
    @spec(firstresult=True)
    def hook(self, a: Any, b: Any, c: Any) -> Any:
        """The first result counts."""


class AllSpec:
    @spec
    def hook(self, a: Any, b: Any, c: Any) -> Any:
        """All results count."""


ERRORS: dict[str, Callable[[str], BaseException]] = {
    "problem": Problem,
    "stop": StopIteration,
    "runtime": RuntimeError,
    "base": KeyboardInterrupt,
    "generator exit": GeneratorExit,
}


@attrs.frozen
class Behaviour:
    """What one implementation does; all fields are drawn at random."""

    wrapper: bool
    order: str
    arguments: str
    before: str  # nothing, an error's name, or "no yield" for a wrapper
    result: str  # of a plain one: none, value, falsy; of a wrapper: pass, replace, none
    on_error: str  # of a wrapper: let it go, swallow, replace, raise after cleaning up
    after: str  # of a wrapper, after a good result: nothing, an error's name, second yield


BEHAVIOURS = st.builds(
    Behaviour,
    st.booleans(),
    st.sampled_from(["", "", "tryfirst", "trylast"]),
    st.sampled_from(["abc", "cba", "b", "none", "default", "late default", "unknown default"]),
    st.sampled_from(["nothing"] * 6 + [*ERRORS, "no yield"]),
    st.sampled_from(["value", "value", "none", "falsy", "pass", "replace"]),
    st.sampled_from(["let go", "let go", "swallow", "swallow stop", "replace", "finally", "chain", "second yield"]),
    st.sampled_from(["nothing"] * 5 + [*ERRORS, "second yield"]),
)


def described(error: BaseException) -> tuple[type, Any]:
    """Return what must be equal: the class and the arguments. The wording of a broken wrapper's error is ours."""
    kind = RuntimeError if isinstance(error, RuntimeError) else type(error)
    broken = [words for words in ("did not yield", "second yield") if str(error).endswith(words)]
    return kind, broken or error.args


def body_plain(it: Behaviour, name: str, log: Log, seen: Any) -> Any:
    log.append((name, "called", seen))
    if it.before in ERRORS:
        raise ERRORS[it.before](name)
    return {"none": None, "falsy": 0}.get(it.result, f"{name} gives")


def body_wrapper(it: Behaviour, name: str, log: Log, seen: Any) -> Generator[Any, Any, Any]:
    log.append((name, "before", seen))
    if it.before in ERRORS:
        raise ERRORS[it.before](name)
    if it.before == "no yield":
        return "never"
    try:
        result = yield
    except BaseException as error:
        if isinstance(error, GeneratorExit) and error.args == ():
            raise  # the generator is dropped; not a part of the call
        log.append((name, "error", described(error)))
        if it.on_error == "swallow":
            return f"{name} instead"
        if it.on_error == "swallow stop" and isinstance(error, StopIteration):
            return f"{name} instead of the end"
        if it.on_error == "replace":
            raise Problem(f"{name} instead") from None
        if it.on_error == "chain":
            raise RuntimeError(f"{name} instead") from error
        if it.on_error == "second yield":
            yield
        raise
    log.append((name, "after", result))
    if it.after in ERRORS:
        raise ERRORS[it.after](name)
    if it.after == "second yield":
        yield
    if it.result == "pass":
        return result
    return None if it.result == "none" else f"{name} over {result}"


def make_function(it: Behaviour, name: str, log: Log) -> Any:
    """Return the implementation, naming the arguments that the behaviour names."""
    body: Callable[..., Any] = body_wrapper if it.wrapper else body_plain
    signature, seen = {
        "abc": ("a, b, c", "(a, b, c)"),
        "cba": ("c, b, a", "(a, b, c)"),
        "b": ("b", "(b,)"),
        "none": ("", "()"),
        "default": ("c, a='own'", "(c, a)"),
        "late default": ("b='own', c='own'", "(b, c)"),
        "unknown default": ("a, x='own', b='own'", "(a, x, b)"),
    }[it.arguments]
    call = f"body(it, name, log, {seen})"
    code = f"def hook({signature}):\n    return {'(yield from ' + call + ')' if it.wrapper else call}\n"
    scope: dict[str, Any] = {"body": body, "it": it, "name": name, "log": log}
    exec(code, scope)
    first, last = it.order == "tryfirst", it.order == "trylast"
    return impl(wrapper=it.wrapper, tryfirst=first, trylast=last)(scope["hook"])


class Namespace:
    """A plugin object; its functions are attributes, hence not bound."""

    def __init__(self, hook: Any) -> None:
        self.hook = hook


def manager_of(behaviours: list[Behaviour], log: Log, first: bool) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("t")
    manager.add_hookspecs(FirstSpec if first else AllSpec)
    for number, it in enumerate(behaviours):
        manager.register(Namespace(make_function(it, f"{number}", log)), name=f"{number}")
    return manager


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return "gave", call()
    except BaseException as error:
        return "raised", described(error)


def wrapper(on_error: str = "let go", after: str = "nothing", before: str = "nothing") -> Behaviour:
    return Behaviour(True, "", "abc", before, "pass", on_error, after)


def plain(before: str = "nothing") -> Behaviour:
    return Behaviour(False, "", "abc", before, "value", "", "")


@pytest.mark.slow
@example([plain("stop"), wrapper(), wrapper("swallow stop")], True)
@example([plain("stop"), wrapper(), wrapper()], True)
@example([plain("stop"), wrapper("finally"), wrapper("chain")], False)
@example([plain(), wrapper(after="stop"), wrapper("swallow")], True)
@example([plain("base"), wrapper("second yield"), wrapper("swallow")], True)
@example([plain(), wrapper(after="second yield"), wrapper("swallow")], True)
@example([plain(), wrapper(before="no yield"), wrapper("swallow")], False)
@settings(deadline=None)
@given(st.lists(BEHAVIOURS, max_size=6), st.booleans())
def test_a_compiled_chain_does_what_pluggy_does(behaviours: list[Behaviour], first: bool) -> None:
    """For any implementations: the same result, or the same exception, and the same calls in the same order."""
    theirs: Log = []
    ours: Log = []
    by_pluggy = manager_of(behaviours, theirs, first)
    expected = outcome(lambda: by_pluggy.hook.hook(a=1, b=2, c=3))
    caller = manager_of(behaviours, ours, first).hook.hook
    chain = compile_chain(caller.get_hookimpls(), ("a", "b", "c"), firstresult=first)
    assert outcome(lambda: chain(1, 2, 3)) == expected
    assert ours == theirs


@settings(deadline=None)
@given(st.lists(BEHAVIOURS, max_size=4), st.booleans())
def test_a_compiled_chain_can_be_called_again(behaviours: list[Behaviour], first: bool) -> None:
    """A chain keeps nothing from one call to the next."""
    log: Log = []
    caller = manager_of(behaviours, log, first).hook.hook
    chain = compile_chain(caller.get_hookimpls(), ("a", "b", "c"), firstresult=first)
    results, logs = [], []
    for _ in range(3):
        log.clear()
        results.append(outcome(lambda: chain(1, 2, 3)))
        logs.append(list(log))
    assert results[0] == results[1] == results[2]
    assert logs[0] == logs[1] == logs[2]


def test_a_chain_of_one_is_the_function_itself() -> None:
    """A single plain implementation that names all arguments is called with nothing in between."""
    manager = pluggy.PluginManager("t")
    manager.add_hookspecs(FirstSpec)

    class Plugin:
        @staticmethod
        @impl
        def hook(a: Any, b: Any, c: Any) -> Any:
            return a

    manager.register(Plugin)
    caller = manager.hook.hook
    assert compile_chain(caller.get_hookimpls(), ("a", "b", "c"), firstresult=True) is Plugin.hook


def test_an_empty_chain_gives_nothing() -> None:
    """Without implementations the first result is None, and the list of all results empty."""
    assert compile_chain([], ("a",), firstresult=True)(1) is None
    assert compile_chain([], ("a",), firstresult=False)(1) == []


def test_a_second_yield_names_the_wrapper() -> None:
    """The error of a wrapper that yields twice, or never, says which function it is."""
    manager = pluggy.PluginManager("t")
    manager.add_hookspecs(FirstSpec)

    class Twice:
        @impl(wrapper=True)
        def hook(self) -> Iterator[None]:
            yield
            yield

    manager.register(Twice())
    chain = compile_chain(manager.hook.hook.get_hookimpls(), ("a", "b", "c"), firstresult=True)
    with pytest.raises(RuntimeError, match=r"Twice\.hook has a second yield"):
        chain(1, 2, 3)


def test_the_plan_has_every_hook_of_the_contract() -> None:
    """A plan has one chain for each hook in `ProviderHooks`, and no other."""
    hooks = {name for name in vars(ProviderHooks) if not name.startswith("_")}
    assert {field.name for field in attrs.fields(Plan)} == hooks


def test_a_plan_calls_the_standard_dialect() -> None:
    """A provider without hooks of its own gets the standard chains, each a plain function or an empty chain."""
    plan = build_plan(Provider("p", "P", "https://p.example/v1"))
    assert plan.describe_model.__module__ == "chatport.standard.models"
    assert plan.decode_chunk.__module__ == "chatport.standard.stream"
    assert plan.observe("x", {}, None) == []


def test_compile_plan_takes_a_manager() -> None:
    """`compile_plan` compiles what is registered, in pluggy's order: the last registered runs first."""
    manager = pluggy.PluginManager("chatport")
    manager.add_hookspecs(ProviderHooks)
    marker = pluggy.HookimplMarker("chatport")

    class One:
        @marker
        def parse_models(self, data: Any) -> Any:
            return ["one"]

    class Two:
        @marker
        def parse_models(self) -> Any:
            return ["two"]

    manager.register(One())
    manager.register(Two())
    assert compile_plan(manager).parse_models({}, None) == ["two"]
