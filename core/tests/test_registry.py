"""Finding, checking and ordering plugins."""

from __future__ import annotations

import py_compile
import subprocess
import sys
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import pytest

from chatport import Client, hookimpl
from chatport.call import Call, WireRequest
from chatport.errors import ConfigurationError, PluginError, UnsupportedFeatureError
from chatport.hooks import HOOK_API
from chatport.plugins import installed
from chatport.plugins.installed import InstalledPlugin, installed_patches, installed_providers
from chatport.plugins.registry import build_plan, load_provider
from chatport.provider import Dialect, Provider
from chatport.setup.config import load_config
from chatport.setup.routes import Routes
from chatport.setup.vendors import Vendors
from chatport.testing import Emulator
from chatport.types import Message

VENDOR = Provider("acme", "Acme", "https://api.acme.example/v1")
TWIN = Provider("bolt", "Bolt", "https://api.bolt.example/v1")
HELLO = Call((Message.user("hello"),))


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No plugin, configuration or file of this machine plays a part."""
    monkeypatch.setattr(installed, "_scan", lambda group: ())
    monkeypatch.chdir(tmp_path)
    for name in ("CHATPORT_PLUGINS", "CHATPORT_DISABLE_PLUGINS", "CHATPORT_CONFIG", "LLM_PROVIDER", "LLM_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that holds the test's own plugins."""
    module: Any = ModuleType("vendors_of_this_test")
    module.acme, module.bolt = VENDOR, TWIN
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("CHATPORT_PLUGINS", "acme=vendors_of_this_test:acme, bolt=vendors_of_this_test:bolt")
    return module


def scanned(monkeypatch: pytest.MonkeyPatch, *plugins: InstalledPlugin, group: str = "chatport.providers") -> None:
    """Let these be the installed distributions' entry points."""
    monkeypatch.setattr(installed, "_scan", lambda asked: plugins if asked == group else ())


def marking(mark: str, provider: str = "acme") -> Any:
    """Return a patch that puts its mark at the end of the list in the body: the outermost comes last."""

    class Patch:
        @hookimpl(wrapper=True)
        def shape_request(self) -> Generator[None, Any, Any]:
            wire = yield
            return wire.set("marks", [*wire.body.get("marks", []), mark])

    patch: Any = Patch()
    patch.provider = provider
    return patch


def marks(vendors: Vendors, target: str = "acme:m") -> Any:
    return Routes(vendors).route(HELLO, target, timeouts={}, options={}).wire.body.get("marks")


LISTING = """
import sys
from chatport.plugins.installed import installed_providers, installed_patches
installed_providers(), installed_patches()
names = [plugin.target.partition(":")[0] for plugin in installed_providers().values()]
assert names, "this checkout has providers"
assert not set(names) & set(sys.modules), set(names) & set(sys.modules)
assert not [name for name in sys.modules if name.startswith(("chatport_", "broken_on_purpose"))]
assert "httpx" not in sys.modules
print(len(names))
"""


def test_listing_imports_nothing() -> None:
    """Listing the installed providers imports none of them, nor an HTTP library, however broken they are."""
    environment = {"CHATPORT_PLUGINS": "x=broken_on_purpose:y"}
    done = subprocess.run([sys.executable, "-c", LISTING], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1


def test_an_entry_point_tells_its_distribution() -> None:
    """A listed plugin says which distribution brings it, in which version."""
    owner = SimpleNamespace(name="chatport-provider-acme", version="1.2")
    entry: Any = SimpleNamespace(name="acme", value="chatport_acme:provider", dist=owner)
    whole = InstalledPlugin("acme", "chatport_acme:provider", "chatport-provider-acme", "1.2")
    assert installed._plugin(entry) == whole
    assert installed._plugin(SimpleNamespace(name="a", value="b", dist=None)).distribution == "?"  # type: ignore[arg-type]  # stands for an EntryPoint


def test_a_provider_is_loaded_by_name(vendors: Any) -> None:
    """A provider named in CHATPORT_PLUGINS is found and loaded."""
    assert load_provider("acme") is VENDOR
    assert list(installed_providers()) == ["acme", "bolt"]
    assert installed_patches() == {}


def test_an_unknown_provider_is_told_with_the_nearest(vendors: Any) -> None:
    """An unknown name is told with the nearest one, or with two ways out; both say what there is."""
    with pytest.raises(ConfigurationError) as caught:
        load_provider("acne")
    text = str(caught.value)
    assert "No provider is called 'acne'. Did you mean 'acme'?" in text
    assert "Installed: acme, bolt." in text
    assert "chatport-provider-acne" not in text
    with pytest.raises(ConfigurationError, match=r"is called 'zzz'\. Write a table \[providers\.zzz\]") as caught:
        load_provider("zzz")
    assert 'kind = "compatible"' in str(caught.value)
    assert "Installed: acme, bolt." in str(caught.value)


def test_only_packages_that_exist_are_advised(vendors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider of ours that is not installed is named with its package; a name that we do not know gets none."""
    name, package = next(iter(installed.known_distributions().items()))
    with pytest.raises(ConfigurationError, match=rf"is called '{name}'\. Install {package}\. Installed: acme, bolt\."):
        load_provider(name)
    for invented in ("zzz", "zephyrus", "nobodys", f"{name}-pro"):
        with pytest.raises(ConfigurationError) as caught:
            load_provider(invented)
        assert "chatport-provider" not in str(caught.value)


def test_without_providers_the_error_says_so() -> None:
    """Without a single provider the error lists none."""
    with pytest.raises(ConfigurationError, match=r"Installed: none"):
        load_provider("acme")


TWO = r"Two plugins are called 'acme', and neither is used: a:p of dist-a and b:p of dist-b.*DISABLE"


def test_two_of_one_name_disable_that_name_only(vendors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions that bring one name: it is listed and cannot be used, both are named, and others work."""
    first, second = InstalledPlugin("acme", "a:p", "dist-a", "1"), InstalledPlugin("acme", "b:p", "dist-b", "2")
    scanned(monkeypatch, first, second)
    monkeypatch.setenv("CHATPORT_PLUGINS", "bolt=vendors_of_this_test:bolt")
    with pytest.warns(RuntimeWarning, match=TWO):
        assert sorted(installed_providers()) == ["acme", "bolt"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(PluginError, match=TWO) as caught:
            load_provider("acme")
        assert caught.value.provider == "acme"
        assert load_provider("bolt").name == "bolt"
        client = Client(config={"providers": {"bolt": {"api_key": "k"}}})
        assert client.explain("hello", model="bolt:m").target == "bolt:m"
        with pytest.raises(PluginError, match=TWO):
            client.explain("hello", model="acme:m")


@pytest.mark.parametrize("disabled", ["acme", "dist-b"])
def test_one_of_two_of_one_name_can_be_switched_off(disabled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name both are gone; by the package of one, the other stays, and there is no warning."""
    first, second = InstalledPlugin("acme", "a:p", "dist-a", "1"), InstalledPlugin("acme", "b:p", "dist-b", "2")
    scanned(monkeypatch, first, second)
    monkeypatch.setenv("CHATPORT_DISABLE_PLUGINS", disabled)
    assert installed_providers() == ({} if disabled == "acme" else {"acme": first})


def test_two_patches_of_one_name_stop_the_provider_they_are_for(vendors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch that nobody can tell from another is not left out without a word; another provider does not notice."""
    patches = [InstalledPlugin("bolt.fix", f"{name}:p", f"dist-{name}", "1") for name in ("a", "b")]
    monkeypatch.setattr(installed, "_scan", lambda group: tuple(patches) if group == installed.PATCHES_GROUP else ())
    client = Client(config={"providers": {name: {"api_key": "k"} for name in ("acme", "bolt")}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert client.explain("hello", model="acme:m").target == "acme:m"
        with pytest.raises(PluginError, match=r"called 'bolt.fix'.* a:p of dist-a and b:p of dist-b") as caught:
            client.explain("hello", model="bolt:m")
    assert caught.value.provider == "bolt"


def test_the_same_entry_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same object under the same name, seen twice (an editable install beside a plain one), is no conflict."""
    plugin = InstalledPlugin("acme", "a:p", "dist-a", "1")
    scanned(monkeypatch, plugin, plugin)
    assert list(installed_providers()) == ["acme"]


@pytest.mark.parametrize(
    "source",
    ["raise RuntimeError('boom')", "import sys; sys.exit(3)", "x = (", "import nothing_of_this_name", "other = 1"],
)
def test_a_broken_plugin_takes_nothing_else_down(
    source: str, vendors: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A plugin that cannot be imported is listed, is an error where it is used, and leaves the others alone."""
    (tmp_path / "broken_vendor.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_vendor", raising=False)
    monkeypatch.setenv("CHATPORT_PLUGINS", "bad=broken_vendor:provider,acme=vendors_of_this_test:acme")
    assert sorted(installed_providers()) == ["acme", "bad"]
    assert load_provider("acme") is VENDOR
    with pytest.raises(PluginError, match=r"'bad'.*broken_vendor:provider.*cannot be loaded.*not affected") as caught:
        load_provider("bad")
    assert caught.value.__cause__ is not None
    assert caught.value.provider == "bad"


def test_an_entry_must_be_a_provider_of_that_name(vendors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered must be a Provider, and call itself by the name it is registered under."""
    vendors.thing = 5
    monkeypatch.setenv("CHATPORT_PLUGINS", "thing=vendors_of_this_test:thing, ajax=vendors_of_this_test:acme")
    with pytest.raises(PluginError, match=r"is not a chatport.Provider but a int"):
        load_provider("thing")
    with pytest.raises(PluginError, match=r"calls itself 'acme' but is registered as 'ajax'"):
        load_provider("ajax")


@pytest.mark.parametrize("item", ["acme", "acme=", "=", "patch:x"])
def test_a_malformed_plugin_list_is_refused(item: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item of CHATPORT_PLUGINS that is not `name=module:attribute` is an error that shows it."""
    monkeypatch.setenv("CHATPORT_PLUGINS", item)
    with pytest.raises(PluginError, match=f"CHATPORT_PLUGINS: '{item}' is not"):
        installed_providers()


def test_disabled_plugins_are_not_there(vendors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CHATPORT_DISABLE_PLUGINS takes names out, wherever they come from; a star takes out all that are installed."""
    scanned(monkeypatch, InstalledPlugin("cord", "c:p", "dist-c", "1"), InstalledPlugin("dart", "d:p", "dist-d", "1"))
    monkeypatch.setenv("CHATPORT_DISABLE_PLUGINS", "cord, bolt")
    assert sorted(installed_providers()) == ["acme", "dart"]
    monkeypatch.setenv("CHATPORT_DISABLE_PLUGINS", "*")
    assert sorted(installed_providers()) == ["acme", "bolt"]
    monkeypatch.setenv("CHATPORT_DISABLE_PLUGINS", "*,bolt")
    assert sorted(installed_providers()) == ["acme"]


# --- what is checked when a chain is built


def with_hooks(*hooks: Any) -> Provider:
    return attrs.evolve(VENDOR, hooks=hooks)


def test_an_unknown_hook_is_told_with_the_nearest() -> None:
    """A misspelt hook is an error that names the plugin, the nearest hook, and all there are."""

    class Plugin:
        @hookimpl
        def shape_requests(self) -> None: ...

    with pytest.raises(PluginError) as caught:
        build_plan(with_hooks(Plugin()))
    text = str(caught.value)
    assert "Plugin implements a hook 'shape_requests' that does not exist. Did you mean 'shape_request'?" in text
    assert "classify_error, decode_chunk" in text
    assert caught.value.provider == "acme"


def test_an_unknown_specname_is_refused() -> None:
    """The name given with `specname` is checked like the function's own."""

    class Plugin:
        @hookimpl(specname="decode_chunks")
        def decode(self) -> None: ...

    with pytest.raises(PluginError, match=r"'decode_chunks'.*Did you mean 'decode_chunk'"):
        build_plan(with_hooks(Plugin()))


def test_specname_gives_a_function_another_name() -> None:
    """A function may have a name of its own and say which hook it is."""

    class Plugin:
        @hookimpl(specname="parse_models")
        def list_of(self) -> Any:
            return ["mine"]

    assert build_plan(with_hooks(Plugin())).parse_models({}, None) == ["mine"]


def test_a_wrong_argument_is_refused() -> None:
    """An argument that the hook does not have is an error that names plugin, hook and argument."""

    class Plugin:
        @hookimpl
        def shape_request(self, call: Any, client: Any) -> None: ...

    with pytest.raises(PluginError, match=r"breaks the hook contract of acme.*shape_request.*client"):
        build_plan(with_hooks(Plugin()))


def test_an_old_style_wrapper_is_refused() -> None:
    """`hookwrapper=True` is refused with the way to write it today."""

    class Plugin:
        @hookimpl(hookwrapper=True)
        def shape_request(self) -> Iterator[None]:
            yield

    with pytest.raises(PluginError, match=r"Plugin\.shape_request uses hookwrapper=True; write it with wrapper=True"):
        build_plan(with_hooks(Plugin()))


def test_a_wrapper_must_be_a_generator() -> None:
    """A wrapper without a yield is refused when it is registered."""

    class Plugin:
        @hookimpl(wrapper=True)
        def shape_request(self) -> Any:
            return None

    with pytest.raises(PluginError, match=r"breaks the hook contract"):
        build_plan(with_hooks(Plugin()))


def test_a_plugin_without_hooks_is_refused() -> None:
    """A plugin in which nothing is marked is a mistake: the decorator was forgotten."""

    class Plugin:
        def shape_request(self) -> None: ...

    with pytest.raises(PluginError, match=r"Plugin has no function marked with @chatport.hookimpl"):
        build_plan(with_hooks(Plugin()))


def test_the_same_plugin_twice_is_refused() -> None:
    """One object cannot be in a chain twice."""
    patch = marking("x")
    with pytest.raises(PluginError, match=r"breaks the hook contract"):
        build_plan(VENDOR, [patch, patch])


def test_a_newer_hook_api_is_refused() -> None:
    """A provider written for a newer contract is refused with both versions and what to update."""
    newer = attrs.evolve(VENDOR, hook_api=HOOK_API + 1)
    with pytest.raises(PluginError, match=f"hook API {HOOK_API + 1}.*has {HOOK_API}. Update chatport-core"):
        build_plan(newer)


def test_a_property_that_fails_is_no_hook() -> None:
    """Looking for hooks does not stumble over an attribute that cannot be read."""

    class Plugin:
        @property
        def fails(self) -> Any:
            raise AttributeError("no")

        @hookimpl
        def parse_models(self) -> Any:
            return []

    assert build_plan(with_hooks(Plugin())).parse_models({}, None) == []


def test_a_patch_may_call_itself_one_for_its_provider_and_for_no_other(
    vendors: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that is registered, or named in the configuration, for another provider than its own runs for neither."""
    vendors.acme, vendors.patch = with_hooks(marking("vendor")), marking("installed", "bolt")
    monkeypatch.setenv("CHATPORT_PLUGINS", "acme=vendors_of_this_test:acme,patch:acme.x=vendors_of_this_test:patch")
    config = load_config({"providers": {"acme": {"api_key": "k"}}}, environment={})
    with pytest.raises(PluginError) as caught:
        Vendors(config, environment={}).provider("acme")
    assert "is registered for 'acme' and calls itself one for 'bolt'." in caught.value.message
    assert caught.value.provider == "acme"
    vendors.patch.provider = "acme"
    assert marks(Vendors(config, environment={})) == ["vendor", "installed"]
    source = (
        "from chatport import hookimpl\nprovider = 'bolt'\n"
        "@hookimpl(wrapper=True)\ndef shape_request():\n    return (yield)\n"
    )
    (tmp_path / "one.py").write_text(source)
    path = tmp_path / "chatport.toml"
    path.write_text('[providers.acme]\napi_key = "k"\npatches = ["one.py"]\n')
    with pytest.raises(PluginError, match="is registered for 'acme' and calls itself one for 'bolt'"):
        Vendors(load_config(path, environment={}), environment={}).provider("acme")


def test_a_patch_file_that_is_compiled_is_run(tmp_path: Path) -> None:
    """It is the file that is named, and not one that lies beside a source."""
    source = tmp_path / "one.py"
    source.write_text(
        "from chatport import hookimpl\n@hookimpl(wrapper=True)\ndef shape_request():\n"
        "    wire = yield\n    return wire.set('marks', ['compiled'])\n"
    )
    py_compile.compile(str(source), cfile=str(tmp_path / "one.pyc"))
    source.unlink()
    path = tmp_path / "chatport.toml"
    path.write_text('[providers.acme]\napi_key = "k"\npatches = ["one.pyc"]\n')
    assert marks(Vendors(load_config(path, environment={}), environment={}, providers=[VENDOR])) == ["compiled"]


# --- order


def test_the_order_of_a_chain(vendors: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Standard, vendor, installed patches, patches of the configuration, `plugins=`: the last is the outermost."""
    vendors.acme = with_hooks(marking("vendor"))
    vendors.early, vendors.late, vendors.third = marking("installed b"), marking("installed a"), marking("installed c")
    monkeypatch.setenv(
        "CHATPORT_PLUGINS",
        "acme=vendors_of_this_test:acme,patch:acme.b=vendors_of_this_test:early,"
        "patch:acme.a=vendors_of_this_test:late,patch:acme.c=vendors_of_this_test:third",
    )
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(
            "from chatport import hookimpl\n"
            "@hookimpl(wrapper=True)\n"
            "def shape_request():\n"
            "    wire = yield\n"
            f"    return wire.set('marks', [*wire.body.get('marks', []), 'file {name}'])\n"
        )
    path = tmp_path / "chatport.toml"
    path.write_text('[providers.acme]\napi_key = "k"\npatches = ["two.py", "one.py"]\n')
    vendors = Vendors(load_config(path, environment={}), [marking("given 1"), marking("given 2")], environment={})
    assert marks(vendors) == [
        "vendor",
        "installed b",
        "installed a",
        "installed c",
        "file two",
        "file one",
        "given 1",
        "given 2",
    ]


def test_patches_of_distributions_come_in_the_order_of_their_names(
    vendors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed patches are ordered by name, not by the order of installation."""
    from importlib_metadata import EntryPoint

    entries = [EntryPoint(name, f"m:{name}", "chatport.patches") for name in ("z", "a", "m")]
    monkeypatch.undo()
    monkeypatch.setattr("importlib_metadata.entry_points", lambda group: entries)
    installed._scan.cache_clear()
    try:
        assert list(installed_patches()) == ["a", "m", "z"]
    finally:
        installed._scan.cache_clear()


def test_a_patch_runs_for_its_provider_only(vendors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch for one provider never touches another, nor does the vendor's own hook."""
    vendors.acme = with_hooks(marking("vendor"))
    vendors.patch = marking("installed")
    vendors.other = marking("for bolt", "bolt")
    monkeypatch.setenv(
        "CHATPORT_PLUGINS",
        "acme=vendors_of_this_test:acme,bolt=vendors_of_this_test:bolt,"
        "patch:acme.p=vendors_of_this_test:patch,patch:bolt=vendors_of_this_test:other",
    )
    config = load_config({"providers": {n: {"api_key": "k"} for n in ("acme", "bolt")}}, environment={})
    vendors = Vendors(config, [marking("given"), marking("given to bolt", "bolt")], environment={})
    assert marks(vendors, "acme:m") == ["vendor", "installed", "given"]
    assert marks(vendors, "bolt:m") == ["for bolt", "given to bolt"]


def test_a_plain_implementation_replaces_the_step(vendors: Any) -> None:
    """A patch without `wrapper` takes the vendor's and the standard's place; one that returns None leaves it."""

    class Replaces:
        provider = "acme"

        @hookimpl
        def shape_request(self, call: Any) -> Any:
            return WireRequest("/mine", {"replaced": True})

    class Declines:
        provider = "acme"

        @hookimpl
        def shape_request(self) -> None:
            return None

    config = load_config({"providers": {"acme": {"api_key": "k"}}}, environment={})
    vendors = Vendors(config, [Replaces(), Declines()], environment={})
    route = Routes(vendors).route(HELLO, "acme:m", timeouts={}, options={})
    assert (route.wire.path, route.wire.body) == ("/mine", {"replaced": True})


def test_a_patch_must_say_whom_it_is_for(vendors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch without a `provider` is refused where it is given, at once."""

    class Nobody:
        @hookimpl
        def observe(self) -> None: ...

    with pytest.raises(PluginError, match='Nobody does not say which provider it is for: give it provider = "NAME"'):
        Vendors(load_config({}, environment={}), [Nobody()], environment={})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "does not exist"),
        ("x = (", "cannot be loaded: SyntaxError"),
        ("1/0", "ZeroDivisionError"),
        ("x = 1", "has no function marked"),
    ],
)
def test_a_broken_patch_file_is_named(source: str | None, words: str, vendors: Any, tmp_path: Path) -> None:
    """A patch file that is missing or broken is an error that names it."""
    path = tmp_path / "my_patch.py"
    if source is not None:
        path.write_text(source)
    config = load_config({"providers": {"acme": {"api_key": "k", "patches": [str(path)]}}}, environment={})
    with pytest.raises(PluginError, match=words) as caught:
        Vendors(config, environment={}).provider("acme")
    assert "my_patch" in str(caught.value)


def test_a_hook_that_fails_is_a_plugin_error(vendors: Any) -> None:
    """An exception in a shaping hook says which hook of which provider it was, and keeps the cause."""

    class Fails:
        provider = "acme"

        @hookimpl
        def shape_request(self) -> Any:
            raise KeyError("boom")

    class Wrong:
        provider = "bolt"

        @hookimpl
        def shape_request(self) -> Any:
            return {"body": 1}

    config = load_config({"providers": {n: {"api_key": "k"} for n in ("acme", "bolt")}}, environment={})
    vendors = Vendors(config, [Fails(), Wrong()], environment={})
    with pytest.raises(PluginError, match=r"A shape_request hook of acme failed: KeyError: 'boom'") as caught:
        marks(vendors)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(PluginError, match=r"gave dict, not a WireRequest"):
        marks(vendors, "bolt:m")


@pytest.mark.parametrize(
    "hook",
    [
        "describe_model",
        "translate_tools",
        "decode_reply",
        "classify_error",
        "parse_models",
    ],
)
def test_whichever_hook_fails_the_error_says_so(hook: str) -> None:
    """A hook that raises, at whatever step of a call, is a PluginError that names it, and never a bare exception."""

    def fails() -> Any:
        raise ZeroDivisionError("by hook")

    patch: Any = SimpleNamespace(provider="compatible", fails=hookimpl(specname=hook)(fails))
    emulator = Emulator("compatible")
    client = Client(emulator.config(retry={"attempts": 1}), plugins=[patch], transport=emulator)
    prompt = "error: 400" if hook == "classify_error" else "hi"
    with pytest.raises(PluginError, match=f"A {hook} hook of compatible failed: ZeroDivisionError: by hook") as caught:
        _ = (
            client.models("compatible")
            if hook == "parse_models"
            else client.chat(prompt, model="compatible:emulated-model")
        )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("hook", ["read_rate_limits", "observe"])
def test_a_hook_that_only_looks_on_cannot_fail_a_call(hook: str) -> None:
    """A failure of telemetry or of the headroom is a warning that names the hook; the answer is handed over."""

    def fails() -> Any:
        raise ZeroDivisionError("by hook")

    patch: Any = SimpleNamespace(provider="compatible", fails=hookimpl(specname=hook)(fails))
    emulator = Emulator("compatible")
    client = Client(emulator.config(), plugins=[patch], transport=emulator)
    with pytest.warns(RuntimeWarning, match=f"A {hook} hook of compatible failed: ZeroDivisionError: by hook"):
        assert client.chat("say: all the same", model="compatible:emulated-model").text == "all the same"


def test_a_patch_for_nobody_is_refused() -> None:
    """A patch whose provider does not exist would never run: that is said at once, with the nearest name."""
    with pytest.raises(PluginError, match=r"for the provider 'compatibel'.*Did you mean 'compatible'"):
        Vendors(load_config({}, environment={}), [SimpleNamespace(provider="compatibel")], environment={})


def test_a_broken_patch_breaks_only_its_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed patch that cannot be imported is met by those who use its provider, and by nobody else."""
    monkeypatch.setenv("CHATPORT_PLUGINS", "patch:compatible.sad=no_such_module_of_a_patch:hooks")
    vendors = Vendors(
        load_config(
            {
                "providers": {
                    "x": {"kind": "compatible", "base_url": "https://x.example/v1"},
                    "compatible": {"base_url": "https://y.example/v1"},
                }
            },
            environment={},
        ),
        environment={},
    )
    assert vendors.provider("x").base_url == "https://x.example/v1"
    with pytest.raises(PluginError, match="no_such_module_of_a_patch"):
        vendors.provider("compatible")


def test_a_hook_that_fails_in_a_stream_keeps_what_came() -> None:
    """A decode_chunk hook that fails is a PluginError with what had been received; nothing is tried again."""

    class Fails:
        provider = "compatible"

        @hookimpl(wrapper=True)
        def decode_chunk(self, chunk: Any) -> Generator[None, Any, Any]:
            events = yield
            if b"Chatport" in chunk.raw:
                raise ZeroDivisionError("by hook")
            return events

    emulator = Emulator("compatible")
    client = Client(emulator.config(), plugins=[Fails()], transport=emulator)
    with (
        client.stream("hi", model="compatible:emulated-model") as stream,
        pytest.raises(PluginError, match="A decode_chunk hook of compatible failed") as caught,
    ):
        list(stream)
    assert caught.value.partial is not None
    assert caught.value.partial.text.startswith("Hello")
    assert len(emulator.requests) == 1


def test_what_the_standard_cannot_shape_alone_is_all_set_by_the_one_who_can() -> None:
    """`explain` tells who made which difference; a plugin that needs a later one makes none."""

    class Own:
        @hookimpl(wrapper=True)
        def shape_request(self, call: Call) -> Generator[None, Any, Any]:
            try:
                return (yield)
            except UnsupportedFeatureError:
                return WireRequest("/own", {"stops": list(call.stop)}, headers={"x-own": "1"})

    provider = attrs.evolve(with_hooks(marking("needs the later one"), Own()), dialect=Dialect(stop_limit=1))
    with Client({"providers": {"acme": {"api_key": "k"}}}, providers=[provider]) as client:
        explained = client.explain("hi", model="acme:m", stop=["a", "b"])
        usual = client.explain("hi", model="acme:m", stop=["a"])
    assert explained.body == {"stops": ["a", "b"]}
    assert {change.plugin.rpartition(".")[2] for change in explained.changes} == {"Own"}
    assert [(change.field, change.before, change.after) for change in explained.changes] == [
        ("stops", None, ["a", "b"]),
        ("path", None, "/own"),
        ("header x-own", None, "1"),
    ]
    assert [(change.field, change.plugin.rpartition(".")[2]) for change in usual.changes][-1] == ("marks", "Patch")
    assert "the standard dialect" in {change.plugin for change in usual.changes}


def test_a_hook_cannot_send_elsewhere(vendors: Any) -> None:
    """A hook whose path changes the host or port is refused: the key would go with it."""

    class Elsewhere:
        provider = "acme"

        @hookimpl(wrapper=True)
        def shape_request(self) -> Generator[None, Any, Any]:
            wire = yield
            return attrs.evolve(wire, path="@evil.example/")

    bare = attrs.evolve(VENDOR, base_url="https://api.acme.example")
    vendors.acme = bare
    config = load_config({"providers": {"acme": {"api_key": "k"}}}, environment={})
    with pytest.raises(PluginError, match=r"sends to another origin"):
        marks(Vendors(config, [Elsewhere()], environment={}))


def test_a_provider_is_made_ready_once(vendors: Any) -> None:
    """A port keeps a provider it has opened."""
    config = load_config({"providers": {"acme": {"api_key": "k"}}}, environment={})
    vendors = Vendors(config, environment={})
    assert vendors.provider("acme") is vendors.provider("acme")


def test_a_second_account_has_a_name_of_its_own(vendors: Any) -> None:
    """`kind` makes a second account or host of the same vendor, with the vendor's hooks, under its own name."""
    vendors.acme = with_hooks(marking("vendor"))
    config = load_config({"providers": {"work": {"kind": "acme", "api_key": "k"}}}, environment={})
    vendors = Vendors(config, [marking("for work", "work")], environment={})
    assert marks(vendors, "work:m") == ["vendor", "for work"]
    assert vendors.provider("work").provider.name == "work"
