"""Configuration: where it comes from, what it may hold, and where a key may go."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from chatport.basics.secret import Secret
from chatport.call import Call
from chatport.client.sync import Client
from chatport.engine.route import Limits, Route
from chatport.errors import ChatportError, ConfigurationError, ModelNotFoundError, PluginError, TransportError
from chatport.facts import Facts, ModelFacts, Price, RetiredModel
from chatport.limits.retry import RetryPolicy
from chatport.limits.timeouts import Timeouts
from chatport.plugins import installed as plugins
from chatport.provider import Auth, Discovery, Provider
from chatport.setup.config import Alias, Config, load_config
from chatport.setup.configfile import read_config_file
from chatport.setup.routes import Routes
from chatport.setup.targets import AliasTarget, split_target
from chatport.setup.truststore import trust
from chatport.setup.vendors import Vendors
from chatport.testing import Emulator
from chatport.types import Message

HELLO = Call((Message.user("hello"),))
ACME = Provider(
    "acme",
    "Acme",
    "https://api.acme.example/v1",
    hosts=("eu.acme.example", "*.acme-cloud.example"),
    key_env=("ACME_API_KEY", "ACME_KEY"),
    base_url_env=("ACME_BASE_URL",),
    settings={"region": "where it runs"},
    settings_env={"region": "ACME_REGION"},
    timeouts={"first_event": 300.0},
    facts=Facts(
        "acme",
        "2026-01-01",
        retired=(RetiredModel("old", "2026-03-01", "new", {"reasoning": "low"}, "AC-1"),),
        prices=(Price("*", 1.0, 2.0),),
    ),
)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """One provider, `acme`, is installed; nothing of this machine plays a part."""
    module: Any = ModuleType("vendor_of_this_test")
    module.acme = ACME
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(plugins, "_scan", lambda group: ())
    monkeypatch.setenv("CHATPORT_PLUGINS", "acme=vendor_of_this_test:acme")
    monkeypatch.delenv("CHATPORT_DISABLE_PLUGINS", raising=False)
    monkeypatch.delenv("CHATPORT_CONFIG", raising=False)
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "of-the-user"))
    monkeypatch.chdir(tmp_path)
    return module


def write_trusted(text: str) -> None:
    """Write a `chatport.toml` into the working folder, and trust it."""
    path = Path("chatport.toml")
    path.write_text(text, "utf-8")
    trust(read_config_file(path))


def chosen(*targets: str) -> tuple[AliasTarget, ...]:
    return tuple(AliasTarget(target) for target in targets)


def vendors_of(config: Any = None, **environment: str) -> Vendors:
    return Vendors(load_config(config, environment=environment), environment=environment)


def routes_of(config: Any = None, **environment: str) -> Routes:
    return Routes(vendors_of(config, **environment))


def route_of(config: Any = None, target: str = "acme:m", **environment: str) -> Route:
    return routes_of(config, **environment).route(HELLO, target, timeouts={}, options={})


def key_of(vendors: Vendors, name: str = "acme") -> str | None:
    key = vendors.provider(name).key
    return None if key is None else key.reveal()


def refused(config: Any, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_config(config, environment=environment)
    return str(caught.value)


# --- where it comes from


def test_nothing_is_a_configuration() -> None:
    """Without environment, file and argument there is a configuration, with the defaults."""
    assert load_config(environment={}) == Config()
    assert Config().retry == RetryPolicy(3, 0.5, 8.0, 60.0)


def test_a_config_is_taken_as_it_is() -> None:
    """A Config given is not read again, nor mixed with the environment."""
    config = Config(model="a:b")
    assert load_config(config, environment={"LLM_MODEL": "c:d"}) is config


def test_later_wins(tmp_path: Path) -> None:
    """The file is laid over the environment, the argument over the file, table by table."""
    environment = {"LLM_PROVIDER": "acme", "LLM_API_KEY": "from-env", "LLM_MODEL": "env-model"}
    assert load_config(environment=environment).model == "acme:env-model"
    write_trusted(
        'model = "acme:file"\n[timeouts]\ntotal = 9\nconnect = 8\n[aliases]\na = "acme:x"\nb = "acme:y"\n'
        '[providers.acme]\nregion = "eu"\n[providers.other]\nkind = "compatible"\nbase_url = "https://o.example"\n'
    )
    config = load_config(environment=environment)
    assert config.model == "acme:file"
    assert config.providers["acme"].settings == {"region": "eu"}
    assert key_of(Vendors(config, environment=environment)) == "from-env"
    config = load_config(
        {"timeouts": {"total": 1}, "aliases": {"b": "acme:z"}, "providers": {"acme": {"region": "us"}}},
        environment=environment,
    )
    assert config.timeouts == {"total": 1.0, "connect": 8.0}
    assert (config.aliases["a"].targets, config.aliases["b"].targets) == (("acme:x",), ("acme:z",))
    assert config.providers["acme"].settings == {"region": "us"}
    assert key_of(Vendors(config, environment=environment)) == "from-env"
    assert set(config.providers) == {"acme", "other"}


def test_an_empty_table_changes_nothing(tmp_path: Path) -> None:
    """Naming a provider without a word about it leaves what an earlier layer said."""
    write_trusted('[providers.acme]\nregion = "eu"\napi_key = "k"\n')
    config = load_config({"providers": {"acme": {}}}, environment={})
    assert config.providers["acme"].settings == {"region": "eu"}
    assert config.providers["acme"].api_key == Secret("k")


def test_the_file_is_found(tmp_path: Path) -> None:
    """`chatport.toml` in the working folder, else the file of CHATPORT_CONFIG, else the path given."""
    Path("chatport.toml").write_text('model = "a:here"')
    Path("named.toml").write_text('model = "a:named"')
    Path("given.toml").write_text('model = "a:given"')
    assert load_config(environment={}).model == "a:here"
    assert load_config(environment={"CHATPORT_CONFIG": "named.toml"}).model == "a:named"
    for path in ("given.toml", tmp_path / "given.toml"):
        config = load_config(path, environment={"CHATPORT_CONFIG": "named.toml"})
        assert config.model == "a:given"
        assert config.folder == Path(path).parent


@pytest.mark.parametrize("text", ["x = ", "[a", "model = 'a:b'\nmodel = 'a:c'", "model = \\u"])
def test_malformed_toml_is_told_with_its_file(text: str) -> None:
    """A file that is not TOML is an error that names file and place."""
    Path("chatport.toml").write_text(text)
    assert "chatport.toml is not valid TOML: " in refused(None)
    assert "(at " in refused(None)


def test_a_file_that_cannot_be_read_is_told() -> None:
    """A missing file, a folder and bytes that are no text are errors that name the path."""
    assert "Cannot read nowhere.toml" in refused("nowhere.toml")
    assert "Cannot read" in refused(None, CHATPORT_CONFIG="nowhere.toml")
    Path("folder").mkdir()
    assert "Cannot read folder" in refused("folder")
    Path("bytes.toml").write_bytes(b"a = '\xff'")
    assert "bytes.toml is not valid TOML: it is not UTF-8" in refused("bytes.toml")


# --- the environment


@pytest.mark.parametrize(
    ("environment", "providers", "model"),
    [
        ({}, {}, None),
        ({"LLM_MODEL": "acme:m"}, {}, "acme:m"),
        ({"LLM_PROVIDER": "acme", "LLM_MODEL": "m"}, {}, "acme:m"),
        ({"LLM_PROVIDER": "acme", "LLM_MODEL": "vendor/m:free"}, {}, "acme:vendor/m:free"),
        ({"LLM_BASE_URL": "https://h.example/v1", "LLM_MODEL": "m"}, {"env": "https://h.example/v1"}, "env:m"),
        ({"BASE_URL": "https://h.example/v1", "LLM_MODEL": "m"}, {"env": "https://h.example/v1"}, "env:m"),
        ({"BASE_URL": "https://h.example/v1", "LLM_API_KEY": "k"}, {"env": "https://h.example/v1"}, None),
        ({"BASE_URL": "https://h.example/v1"}, {}, None),
        ({"LLM_BASE_URL": "https://a.example", "BASE_URL": "https://b.example"}, {"env": "https://a.example"}, None),
        ({"LLM_PROVIDER": "acme", "LLM_API_KEY": "k"}, {"acme": None}, None),
        ({"LLM_API_KEY": "k"}, {}, None),
        ({"LLM_PROVIDER": "acme", "LLM_BASE_URL": "https://h.example"}, {"acme": "https://h.example"}, None),
        ({"LLM_MODEL": "", "LLM_PROVIDER": "", "LLM_BASE_URL": "", "LLM_API_KEY": ""}, {}, None),
    ],
)
def test_environment(environment: dict[str, str], providers: dict[str, str | None], model: str | None) -> None:
    """The general variables describe one provider and the model that holds when a call names none."""
    config = load_config(environment=environment)
    assert {name: table.base_url for name, table in config.providers.items()} == providers
    assert config.model == model


def test_an_endpoint_by_environment_alone() -> None:
    """Base URL, key and model in the environment are a whole configuration."""
    environment = {"LLM_BASE_URL": "https://h.example/v1/", "LLM_API_KEY": "k", "LLM_MODEL": "m"}
    vendors = vendors_of(**environment)
    assert Routes(vendors).targets(None) == (chosen("env:m"), {})
    route = Routes(vendors).route(HELLO, "env:m", timeouts={}, options={})
    assert route.request.url == "https://h.example/v1/chat/completions"
    assert ("authorization", "Bearer k") in route.request.all_headers()


def test_vendor_variables() -> None:
    """A vendor's own variables give its key, the first that is set, its base URL and its settings."""
    assert key_of(vendors_of(ACME_API_KEY="one", ACME_KEY="two")) == "one"
    assert key_of(vendors_of(ACME_API_KEY="  ", ACME_KEY=" two\n")) == "two"
    assert key_of(vendors_of()) is None
    assert (
        vendors_of(ACME_BASE_URL="https://eu.acme.example/v2/").provider("acme").base_url
        == "https://eu.acme.example/v2"
    )
    assert vendors_of(ACME_REGION="eu").provider("acme").config.settings == {"region": "eu"}
    config = {"providers": {"acme": {"region": "us"}}}
    assert vendors_of(config, ACME_REGION="eu").provider("acme").config.settings == {"region": "us"}


# --- the tables


def test_every_form_of_the_contract() -> None:
    """The example of the contract is read, form by form."""
    write_trusted(
        """
        [aliases]
        chat-fast  = ["acme:flash", "other:m", "local:auto"]
        think-hard = { targets = ["acme:big"], reasoning = "high" }
        one        = "acme:flash"
        single     = { targets = "acme:flash" }
        [providers.other]
        kind = "compatible"
        base_url = "https://llm.other.example/v1"
        api_key = { env = "OTHER_API_KEY" }
        headers = { x-team = "blue" }
        timeouts = { silence = 5 }
        [models."acme:flash"]
        context_tokens = 1_000_000
        [timeouts]
        connect = 5
        silence = 60
        first_event = 120
        between_events = 60
        total = 0
        [retry]
        attempts = 5
        first_seconds = 0.1
        [limits]
        event_bytes = 100
        values = 200
        tool_calls = 3
        """
    )
    config = load_config(environment={})
    assert config.aliases == {
        "chat-fast": Alias(chosen("acme:flash", "other:m", "local:auto")),
        "think-hard": Alias(chosen("acme:big"), {"reasoning": "high"}),
        "one": Alias(chosen("acme:flash")),
        "single": Alias(chosen("acme:flash")),
    }
    assert config.retry == RetryPolicy(5, 0.1)
    assert config.limits == Limits(event_bytes=100, values=200, tool_calls=3)
    assert config.timeouts["total"] == 0.0
    assert config.models == {"acme:flash": {"context_tokens": 1_000_000}}
    other = Vendors(config, environment={"OTHER_API_KEY": "k"}).provider("other")
    assert (other.base_url, other.config.headers) == ("https://llm.other.example/v1", {"x-team": "blue"})
    assert other.key == Secret("k")


def test_a_dict_is_a_whole_configuration() -> None:
    """The same tables as a dict need nothing else."""
    config = {
        "providers": {"x": {"kind": "compatible", "base_url": "http://localhost:1", "api_key": "k"}},
        "aliases": {"main": ["x:m", "y:m"]},
        "timeouts": {"total": 6},
        "retry": {"attempts": 3},
    }
    assert routes_of(config).targets("main") == (chosen("x:m", "y:m"), {})


UNKNOWN: list[tuple[Any, str, str]] = [
    ({"alias": {}}, "alias", "aliases"),
    ({"provider": {}}, "provider", "providers"),
    ({"timeouts": {"conect": 1}}, "conect", "connect"),
    ({"retry": {"attempt": 1}}, "attempt", "attempts"),
    ({"limits": {"event_byte": 1}}, "event_byte", "event_bytes"),
    ({"models": {"a:b": {"context_token": 1}}}, "context_token", "context_tokens"),
    ({"aliases": {"x": {"targets": "a:b", "temprature": 1}}}, "temprature", "temperature"),
    ({"providers": {"acme": {"timeouts": {"totl": 1}}}}, "totl", "total"),
]


@pytest.mark.parametrize(("config", "key", "meant"), UNKNOWN, ids=[key for _, key, _ in UNKNOWN])
def test_an_unknown_key_is_told_with_the_nearest(config: Any, key: str, meant: str) -> None:
    """An unknown key anywhere is an error with the nearest known one and the list of all."""
    text = refused(config)
    assert f"unknown key {key!r}. Did you mean {meant!r}? Known: " in text


def test_an_unknown_provider_setting_is_told_with_the_nearest() -> None:
    """A key that is neither ours nor the provider's own is an error as soon as the provider is used."""
    with pytest.raises(
        ConfigurationError,
        match=r"unknown key 'regoin'\. Did you mean 'region'\? Known: allow_plain_http, api_key, auth, base",
    ):
        vendors_of({"providers": {"acme": {"regoin": "eu"}}}).provider("acme")
    with pytest.raises(ConfigurationError, match=r"unknown key 'api_kee'\. Did you mean 'api_key'"):
        vendors_of(
            {"providers": {"x": {"kind": "compatible", "base_url": "https://h.example", "api_kee": "k"}}}
        ).provider("x")


WRONG: list[tuple[Any, str]] = [
    ({"aliases": []}, "aliases must be a table, not list"),
    ({"providers": {"a": 5}}, "[providers.a] must be a table, not int"),
    ({"providers": {"a:b": {}}}, "holds no colon"),
    ({"providers": {"a": {"kind": ""}}}, "kind must be a text that is not empty"),
    ({"providers": {"a": {"kind": 5}}}, "kind must be a text"),
    ({"providers": {"a": {"headers": {"x": 1}}}}, "headers are texts"),
    ({"providers": {"a": {"headers": "x"}}}, "headers must be a table"),
    ({"providers": {"a": {"patches": "x.py"}}}, "patches is a list of files"),
    ({"providers": {"a": {"patches": [1]}}}, "patches is a list of files"),
    ({"providers": {"a": {"patches": 5}}}, "patches is a list of files"),
    ({"providers": {"a": {"api_key": ""}}}, "api_key is empty"),
    ({"providers": {"a": {"api_key": " "}}}, "api_key is empty"),
    ({"providers": {"a": {"api_key": 5}}}, "api_key is a text, { env"),
    ({"providers": {"a": {"api_key": {}}}}, "api_key is a text, { env"),
    ({"providers": {"a": {"api_key": {"env": "A", "file": "b"}}}}, "api_key is a text, { env"),
    ({"providers": {"a": {"api_key": {"environment": "A"}}}}, "api_key is a text, { env"),
    ({"aliases": {"x": []}}, "aliases.x needs one target"),
    ({"aliases": {"x": {"reasoning": "low"}}}, "aliases.x needs one target"),
    ({"aliases": {"x": [5]}}, 'aliases.x: 5 is not "provider:model"'),
    ({"aliases": {"x": [{"target": "a:m", "weight": 0}]}}, "a:m weight is a number above 0"),
    ({"pacing": {"store": 5}}, "[pacing] store is a text, not 5."),
    ({"pacing": {"store_env": ""}}, "[pacing] store_env is a text, not ''."),
    ({"aliases": {"x": [{"target": "a:m", "when": {"tool": True}}]}}, "unknown key 'tool'. Did you mean 'tools'?"),
    (
        {"aliases": {"x": [{"target": "a:m", "when": {"above_input_tokens": -1}}]}},
        "above_input_tokens is a whole number",
    ),
    ({"retry": {"continue_after_cut": "yes"}}, "continue_after_cut is true or false"),
    ({"breaker": {"failures": 0}}, "failures is a whole number above 0"),
    ({"retry": {"budget_least": -1}}, "budget_least is a whole number, 0 or more, not -1"),
    ({"retry": {"budget_least": 1.5}}, "budget_least is a whole number, 0 or more, not 1.5"),
    ({"retry": {"budget_least": True}}, "budget_least is a whole number, 0 or more, not True"),
    ({"retry": {"budget_least": "3"}}, "budget_least is a whole number, 0 or more, not '3'"),
    ({"retry": {"budget_share": -0.1}}, "budget_share is a share of the calls, 0 or more"),
    ({"retry": {"budget_share": False}}, "budget_share is a share of the calls, 0 or more"),
    ({"breaker": {"failure_rate": 2}}, "failure_rate is a share"),
    ({"pacing": {"requests_per_minute": 0}}, "requests_per_minute is a whole number above 0"),
    ({"pacing": 5}, "[pacing] must be a table"),
    ({"providers": {"x": {"pacing": {"speed": 1}}}}, "unknown key 'speed'"),
    ({"aliases": {"x": ["flash"]}}, "aliases.x: 'flash' is not"),
    ({"models": {"flash": {}}}, 'name the model as "provider:model"'),
    ({"models": {"a:b": 5}}, 'models."a:b"] must be a table'),
    ({"timeouts": 5}, "timeouts must be a table"),
    ({"timeouts": {"total": -1}}, "[timeouts] total is a number of seconds, 0 for off, not -1"),
    ({"timeouts": {"total": True}}, "total is a number of seconds"),
    ({"timeouts": {"total": "5"}}, "total is a number of seconds"),
    ({"timeouts": {"total": float("nan")}}, "total is a number of seconds"),
    ({"timeouts": {"total": float("inf")}}, "total is a number of seconds"),
    ({"retry": {"attempts": 0}}, "[retry] attempts is a whole number from 1 to 100"),
    ({"retry": {"attempts": True}}, "attempts is a whole number"),
    ({"retry": {"attempts": 2.0}}, "attempts is a whole number"),
    ({"retry": {"first_seconds": -1}}, "first_seconds is a number of seconds"),
    ({"limits": {"body_bytes": 0}}, "body_bytes is a number of bytes"),
    ({"limits": {"body_bytes": True}}, "body_bytes is a number of bytes"),
    ({"limits": {"values": 0}}, "[limits] values is a whole number above 0, not 0"),
    ({"limits": {"choices": 1.5}}, "choices is a whole number above 0"),
    ({"retired_models": "ignore"}, 'retired_models is "follow" or "raise"'),
    ({"model": ""}, "model must be a text that is not empty"),
    ({"transport": 5}, "transport must be a text"),
]


@pytest.mark.parametrize(("config", "words"), WRONG, ids=[str(config)[:60] for config, _ in WRONG])
def test_a_wrong_value_is_told_with_its_place(config: Any, words: str) -> None:
    """A value of the wrong kind is an error that names its place."""
    assert words in refused(config)


def test_an_error_names_the_file() -> None:
    """An error in a file names the file."""
    Path("chatport.toml").write_text("[timeouts]\nx = 1")
    assert refused(None).startswith("chatport.toml: [timeouts]: unknown key 'x'")


# --- base URLs


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h.example",
        "h.example",
        "//h.example",
        "https://",
        "http:///v1",
        "https://user:pw@h.example/v1",
        "https://h.example/v1?x=1",
        "https://h.example/#x",
        "https://h .example",
        "https://h.example\n",
        "https://[::1",
        "https://h.example:port/v1",
        "https://h.example:99999",
        "HTTPS://h.example",
        "https://h.example\\@x",
        "https:h",
        "https://h.example/\x00",
        "javascript:alert(1)",
        "https://:80/v1",
    ],
)
def test_a_base_url_that_cannot_be_meant_is_refused(url: str) -> None:
    """A base URL has a scheme, a host and a path, and nothing else; from the environment too."""
    assert "base_url must be like https://host/v1" in refused({"providers": {"a": {"base_url": url}}})
    with pytest.raises(ConfigurationError, match=r"ACME_BASE_URL must be like"):
        vendors_of(ACME_BASE_URL=url).provider("acme")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h.example/v1/", "https://h.example/v1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://h.example/a/b//", "https://h.example/a/b"),
    ],
)
def test_a_base_url_loses_its_last_slash(url: str, expected: str) -> None:
    """Paths are put after a base URL without its last slash."""
    assert load_config({"providers": {"a": {"base_url": url}}}, environment={}).providers["a"].base_url == expected


def test_a_user_name_in_a_base_url_is_not_shown() -> None:
    """What stands before an @ may be a secret, and is not repeated in the error."""
    assert "canary" not in refused({"providers": {"a": {"base_url": "https://canary:canary@h.example"}}})


def test_a_compatible_provider_needs_a_base_url() -> None:
    """`kind = "compatible"` without a base URL is an error that says so; so is the built-in name."""
    with pytest.raises(ConfigurationError, match=r"\[providers.x\] has kind = \"compatible\" and needs a base_url"):
        vendors_of({"providers": {"x": {"kind": "compatible"}}}).provider("x")
    with pytest.raises(ConfigurationError, match=r"\[providers.compatible\] needs a base_url"):
        vendors_of().provider("compatible")
    config = {"providers": {"compatible": {"base_url": "https://h.example"}}}
    assert vendors_of(config).provider("compatible").base_url == "https://h.example"


def test_a_located_base_url_counts(installed: Any) -> None:
    """A vendor may tell its host from its settings; a base URL given is stronger, no answer means the default."""

    def locate(settings: Any) -> str | None:
        return f"https://{settings['region']}.acme.example/" if "region" in settings else None

    installed.acme = attrs.evolve(ACME, locate=locate)
    config: dict[str, Any] = {"providers": {"acme": {"region": "eu"}}}
    assert vendors_of(config).provider("acme").base_url == "https://eu.acme.example"
    assert vendors_of().provider("acme").base_url == "https://api.acme.example/v1"
    config["providers"]["acme"]["base_url"] = "https://api.acme.example/x"
    assert vendors_of(config).provider("acme").base_url == "https://api.acme.example/x"


def test_a_provider_may_complete_a_base_url_within_its_origin(installed: Any) -> None:
    """One that has `base_url` among its settings sees it, in `adapt` and in `locate`; another origin is refused."""
    seen: list[Any] = []

    def adapt(provider: Any, settings: Any) -> Any:
        seen.append(settings["base_url"])
        return provider

    own = {"base_url": "completed"}
    located = attrs.evolve(ACME, settings=own, adapt=adapt, locate=lambda given: f"{given['base_url']}/openai/v1")
    installed.acme = located
    config = {"providers": {"acme": {"base_url": "https://api.acme.example", "api_key": "k"}}}
    assert vendors_of(config).provider("acme").base_url == "https://api.acme.example/openai/v1"
    assert seen[0] == "https://api.acme.example"
    installed.acme = attrs.evolve(located, locate=lambda given: None)
    assert vendors_of(config).provider("acme").base_url == "https://api.acme.example"
    installed.acme = attrs.evolve(located, locate=lambda given: "https://evil.example")
    with pytest.raises(PluginError, match="another origin"):
        vendors_of(config).provider("acme")
    for wrong in ("ftp://api.acme.example/?key=sk-canary", "https://api.acme.example:99999/?key=sk-canary"):
        installed.acme = attrs.evolve(located, settings={**own, "at": "where"}, locate=lambda given: given["at"])
        config["providers"]["acme"]["at"] = wrong
        with pytest.raises(ConfigurationError) as caught:
            vendors_of(config).provider("acme")
        assert caught.value.message == f"'{wrong.partition('?')[0]}…' is not an http or https address."


def test_a_path_may_hold_the_model() -> None:
    """As one step, whatever the name: for chat and for embeddings, and beside a query of its own."""
    dialect = {
        "chat_path": "/deployments/{model}/chat/completions?version=2",
        "embeddings_path": "/deployments/{model}/embeddings",
    }
    emulator = Emulator("compatible")
    config = emulator.config()
    config["providers"]["compatible"]["dialect"] = dialect
    with Client(config, transport=emulator) as client:
        client.chat("say: fine", model="compatible:emulated-model")
        shown = client.explain("hi", model="compatible:a/b?c").url
        with pytest.raises(ModelNotFoundError):
            client.embed("hi", model="compatible:m")
    paths = [request.path for request in emulator.requests]
    assert paths == ["/v1/deployments/emulated-model/chat/completions?version=2", "/v1/deployments/m/embeddings"]
    assert shown.endswith("/deployments/a%2Fb%3Fc/chat/completions?version=2")


# --- keys


def test_a_key_of_the_environment_goes_to_the_vendor_only() -> None:
    """A vendor's key from its variable is refused for a foreign host, and may go there when the user says so."""
    config: dict[str, Any] = {"providers": {"acme": {"base_url": "https://proxy.example/v1"}}}
    with pytest.raises(ConfigurationError) as caught:
        vendors_of(config, ACME_API_KEY="canary").provider("acme")
    text = str(caught.value)
    assert "$ACME_API_KEY is a key for api.acme.example, and [providers.acme] sends to proxy.example" in text
    assert 'api_key = { env = "ACME_API_KEY" }' in text
    assert "canary" not in text
    config["providers"]["acme"]["api_key"] = {"env": "ACME_API_KEY"}
    assert key_of(vendors_of(config, ACME_API_KEY="k")) == "k"


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("https://api.acme.example/v2", True),
        ("https://eu.acme.example", True),
        ("https://x.acme-cloud.example", True),
        ("http://localhost:8000/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("https://acme-cloud.example", False),
        ("https://evilacme-cloud.example", False),
        ("https://api.acme.example.evil.example", False),
        ("https://us.acme.example", False),
        ("https://localhost.evil.example", False),
    ],
)
def test_own_hosts(url: str, is_own: bool) -> None:
    """The vendor's host, its other hosts with their subdomains, and this machine are its own; a likeness is not."""
    vendors = vendors_of({"providers": {"acme": {"base_url": url}}}, ACME_API_KEY="k")
    if is_own:
        assert key_of(vendors) == "k"
    else:
        with pytest.raises(ConfigurationError, match=r"is a key for api\.acme\.example"):
            vendors.provider("acme")


def test_a_new_base_url_does_not_inherit_a_key(tmp_path: Path) -> None:
    """A layer that changes the base URL must bring the key too: the earlier layer's key was for another host."""
    write_trusted('[providers.x]\nkind = "compatible"\nbase_url = "https://a.example"\napi_key = "k"')
    moved = vendors_of({"providers": {"x": {"base_url": "https://b.example"}}})
    assert key_of(moved, "x") is None
    same = vendors_of({"providers": {"x": {"base_url": "https://a.example"}}})
    assert key_of(same, "x") == "k"
    both = vendors_of({"providers": {"x": {"base_url": "https://b.example", "api_key": "other"}}})
    assert key_of(both, "x") == "other"


@pytest.mark.parametrize("host", ["h.example", "10.0.0.1", "192.168.1.5", "127.0.0.1.evil.example", "0.0.0.0"])
def test_a_key_over_plain_http_stays_on_this_machine(host: str) -> None:
    """With a key plain http is for loopback only; without one it may go anywhere."""
    table: dict[str, Any] = {"kind": "compatible", "base_url": f"http://{host}/v1"}
    assert key_of(vendors_of({"providers": {"x": table}}), "x") is None
    with pytest.raises(ConfigurationError, match=r"would send its key over plain http to .*Use https"):
        vendors_of({"providers": {"x": {**table, "api_key": "k"}}}).provider("x")
    for local in ("localhost", "127.0.0.1", "[::1]"):
        table["base_url"] = f"http://{local}:1/v1"
        assert key_of(vendors_of({"providers": {"x": {**table, "api_key": "k"}}}), "x") == "k"


@pytest.mark.parametrize(
    "key", ["canary\r\nx-evil: 1", "canary\nx", "can\0ary", "canary\x7f", "canäry", "can\u2028ary"]
)
def test_a_key_that_would_break_the_header_is_refused_unseen(key: str) -> None:
    """A line break, a control or a non-ASCII character in a key is refused, and the key is not shown."""
    with pytest.raises(ConfigurationError, match=r"The value of the header 'authorization' for acme holds") as caught:
        vendors_of({"providers": {"acme": {"api_key": key}}}).provider("acme")
    assert "can" not in str(caught.value).replace("cannot", "")


def test_a_header_that_cannot_be_sent_is_refused_unseen() -> None:
    """The user's own headers are checked too, names and values; the value is not shown."""
    for headers in ({"x-a": "canary\nx: y"}, {"x-a": " canary"}, {"x-a": "can\u20ac"}):
        with pytest.raises(ConfigurationError, match=r"The value of the header 'x-a'") as caught:
            route_of({"providers": {"acme": {"api_key": "k", "headers": headers}}})
        assert "can" not in str(caught.value)
    for name in ("", "x a", "x:a", "x\n", "x-a\nx-b", "ä"):
        with pytest.raises(ConfigurationError, match=r"invalid name"):
            route_of({"providers": {"acme": {"api_key": "k", "headers": {name: "v"}}}})


def test_headers_reach_the_request_but_never_replace_the_key(installed: Any) -> None:
    """The user's headers are sent, in lower case, over ours; the key's own header is the key's."""
    installed.acme = attrs.evolve(ACME, auth=Auth("X-Api-Key", ""))
    table = {"api_key": "k", "headers": {"X-Team": "blue", "User-Agent": "mine", "x-api-key": "other"}}
    headers = route_of({"providers": {"acme": table}}).request.all_headers()
    names = [name.lower() for name, _ in headers]
    assert names.count("x-api-key") == 1
    sent = {name.lower(): value for name, value in headers}
    assert (sent["x-team"], sent["user-agent"], sent["x-api-key"]) == ("blue", "mine", "k")


def test_keys_by_reference(tmp_path: Path) -> None:
    """A key may be a text, a variable or a file; a file's path starts at the configuration's folder."""
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "key.txt").write_text("from-file\n")
    (folder / "chatport.toml").write_text('[providers.acme]\napi_key = { file = "key.txt" }')
    assert key_of(vendors_of(folder / "chatport.toml")) == "from-file"
    assert key_of(vendors_of({"providers": {"acme": {"api_key": {"file": str(folder / "key.txt")}}}})) == "from-file"
    assert key_of(vendors_of({"providers": {"acme": {"api_key": " text "}}})) == "text"
    assert key_of(vendors_of({"providers": {"acme": {"api_key": Secret("s")}}})) == "s"
    assert key_of(vendors_of({"providers": {"acme": {"api_key": {"env": "MINE"}}}}, MINE=" k ")) == "k"


def test_a_missing_key_is_told(tmp_path: Path) -> None:
    """A reference that leads nowhere, and no key at all, are errors that say what to set."""
    with pytest.raises(ConfigurationError, match=r"is to come from \$MINE, which is not set"):
        vendors_of({"providers": {"acme": {"api_key": {"env": "MINE"}}}}).provider("acme")
    with pytest.raises(ConfigurationError, match=r"Cannot read the API key of acme from nowhere: No such file"):
        vendors_of({"providers": {"acme": {"api_key": {"file": "nowhere"}}}}).provider("acme")
    Path("bytes").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"from bytes: it is not a text"):
        vendors_of({"providers": {"acme": {"api_key": {"file": "bytes"}}}}).provider("acme")
    Path("empty").write_text(" \n")
    with pytest.raises(ConfigurationError, match=r"The API key of acme is empty"):
        vendors_of({"providers": {"acme": {"api_key": {"file": "empty"}}}}).provider("acme")
    with pytest.raises(ConfigurationError, match=r"Acme needs an API key\. Set \$ACME_API_KEY or \$ACME_KEY, or give"):
        route_of()


def test_a_compatible_endpoint_needs_no_key() -> None:
    """Without a key a compatible endpoint is called without one."""
    config = {"providers": {"x": {"kind": "compatible", "base_url": "https://h.example"}}}
    assert "authorization" not in dict(route_of(config, "x:m").request.all_headers())


# --- timers


def test_timers_are_laid_over_one_another() -> None:
    """Defaults, the provider's own, the user's, the user's for the provider, the call's: the later wins; 0 is off."""
    streamed = attrs.evolve(HELLO, stream=True)

    def timers(config: Any, **call: float) -> Timeouts:
        config = {"providers": {"acme": {"api_key": "k", **config.pop("acme", {})}}, **config}
        return routes_of(config).route(streamed, "acme:m", timeouts=call, options={}).timeouts

    assert timers({}) == Timeouts(first_event=300.0)
    assert timers({"timeouts": {"first_event": 9, "silence": 0}}) == Timeouts(first_event=9.0, silence=None)
    both = {"timeouts": {"first_event": 9, "total": 8}, "acme": {"timeouts": {"first_event": 7}}}
    assert timers({**both}) == Timeouts(first_event=7.0, total=8.0, queue=8.0)
    assert timers({**both}, first_event=0) == Timeouts(first_event=None, total=8.0, queue=8.0)
    assert timers({**both}, queue=30) == Timeouts(first_event=7.0, total=8.0, queue=30.0)
    assert timers({**both}, queue=0) == Timeouts(first_event=7.0, total=8.0, queue=None)
    off = dict.fromkeys(("connect", "silence", "first_event", "between_events", "total"), 0)
    assert timers({"timeouts": off}) == Timeouts(None, None, None, None, None, None)


# --- targets and aliases


def test_targets() -> None:
    """A target is split at the first colon; half a target is an error that shows how to write one."""
    assert split_target("openrouter:deepseek/v4:free") == ("openrouter", "deepseek/v4:free")
    for target in ("acme", "acme:", ":m", ":"):
        with pytest.raises(ConfigurationError, match=r"is not a target: write"):
            split_target(target)


def test_aliases() -> None:
    """An alias gives its targets and options; an unknown one is told with the nearest; no model at all is an error."""
    vendors = vendors_of({"aliases": {"fast": ["acme:a", "b:c"], "hard": {"targets": "acme:b", "reasoning": "high"}}})
    assert Routes(vendors).targets("fast") == (chosen("acme:a", "b:c"), {})
    assert Routes(vendors).targets("hard") == (chosen("acme:b"), {"reasoning": "high"})
    assert Routes(vendors).targets("x:y") == (chosen("x:y"), {})
    with pytest.raises(
        ConfigurationError, match=r"No alias is called 'fats'\. Did you mean 'fast'\? Aliases: fast, hard"
    ):
        Routes(vendors).targets("fats")
    with pytest.raises(ConfigurationError, match=r"No model is named: pass model="):
        Routes(vendors).targets(None)
    with pytest.raises(ConfigurationError, match=r"is not a target"):
        Routes(vendors).targets("x:")
    assert routes_of({"aliases": {"fast": "acme:a"}, "model": "fast"}).targets(None) == (chosen("acme:a"), {})


# --- facts and retired models


KEYED: dict[str, Any] = {"providers": {"acme": {"api_key": "k"}}}


def test_a_retired_model_is_followed() -> None:
    """After its date a retired model's successor answers, with the old behaviour and a warning."""
    vendors = vendors_of(KEYED)
    route = Routes(vendors).route(HELLO, "acme:old", timeouts={}, options={}, today="2026-03-01")
    assert route.context.model == "new"
    assert (route.wire.body["model"], route.wire.body["reasoning_effort"]) == ("new", "low")
    (note,) = route.wire.adjustments
    assert (note.kind, note.field, note.fact) == ("redirected", "model", "AC-1")
    assert "old was retired on 2026-03-01; its successor is new" in note.reason


def test_the_callers_options_are_stronger_than_the_old_behaviour() -> None:
    """What the caller asks for is not overruled by the options that keep a retired model's behaviour."""
    call = attrs.evolve(HELLO, reasoning="high")
    route = routes_of(KEYED).route(call, "acme:old", timeouts={}, options={"reasoning": "high"}, today="2026-03-01")
    assert route.wire.body["reasoning_effort"] == "high"


def test_a_model_is_not_retired_before_its_date() -> None:
    """The day before, the old model answers without a word."""
    route = routes_of(KEYED).route(HELLO, "acme:old", timeouts={}, options={}, today="2026-02-28")
    assert (route.context.model, route.wire.adjustments) == ("old", ())


def test_a_retired_model_may_be_an_error() -> None:
    """With `retired_models = "raise"` the call fails before anything is sent, and names the successor."""
    with pytest.raises(ModelNotFoundError, match=r"its successor is new") as caught:
        routes_of({**KEYED, "retired_models": "raise"}).route(
            HELLO, "acme:old", timeouts={}, options={}, today="2026-03-01"
        )
    assert (caught.value.provider, caught.value.model) == ("acme", "old")


def test_facts_are_corrected_by_the_user() -> None:
    """A `[models]` table is laid over what the provider knows; the rest of the facts stays."""
    config = {**KEYED, "models": {"acme:m": {"context_tokens": 5, "efforts": ["low"], "input": ["text", "image"]}}}
    vendors = vendors_of(config)
    facts = vendors.facts(vendors.provider("acme"), "m")
    assert (facts.context_tokens, facts.efforts, facts.input) == (5, ("low",), ("text", "image"))
    assert facts.prices == (Price("*", 1.0, 2.0),)
    assert facts.source == "configuration"
    assert vendors.facts(vendors.provider("acme"), "other").context_tokens is None
    assert vendors.facts(vendors.provider("acme"), "m") is facts


@pytest.mark.parametrize("value", ["many", [1], {"x": 1}, 1.5])
def test_a_wrong_correction_is_told(value: Any) -> None:
    """A fact of the wrong type is an error that names the table and the field."""
    with pytest.raises(ConfigurationError, match=r'\[models."acme:m"\]: .*context_tokens'):
        route_of({**KEYED, "models": {"acme:m": {"context_tokens": value}}})


# --- dialect


def test_the_dialect_of_an_endpoint_can_be_corrected() -> None:
    """An endpoint that differs in no more than data is described in the configuration."""
    table: dict[str, Any] = {"kind": "compatible", "base_url": "https://h.example"}
    table["dialect"] = {"chat_path": "/talk", "max_tokens_field": "max_completion_tokens", "stop_limit": 2}
    route = routes_of({"providers": {"x": table}}).route(
        attrs.evolve(HELLO, max_tokens=5), "x:m", timeouts={}, options={}
    )
    assert route.request.url == "https://h.example/talk"
    assert route.wire.body["max_completion_tokens"] == 5
    assert "unknown key 'chat_pat'. Did you mean 'chat_path'" in refused(
        {"providers": {"x": {"dialect": {"chat_pat": "/"}}}}
    )
    assert "dialect: Expected `str`" in refused({"providers": {"x": {"dialect": {"chat_path": 5}}}})


# --- discovery


def test_a_server_is_looked_for_when_no_base_url_is_given(installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`discover` is asked only without a base URL, once; `auto` means the first model of the first server found."""
    asked = []

    def discover(settings: Any) -> Sequence[Discovery]:
        asked.append(settings)
        return [Discovery("acme", "http://localhost:5/v1", ("first", "second"))]

    installed.local = Provider("local", "Local", "", auth=Auth(required=False), discover=discover)
    installed.acme = attrs.evolve(ACME, auth=Auth(required=False))
    monkeypatch.setenv("CHATPORT_PLUGINS", "local=vendor_of_this_test:local,acme=vendor_of_this_test:acme")
    vendors = vendors_of()
    assert not vendors.is_ready("local")
    route = Routes(vendors).route(HELLO, "local:auto", timeouts={}, options={})
    assert (route.context.model, route.request.url) == ("first", "http://localhost:5/v1/chat/completions")
    assert route.context.provider.name == "local"
    assert vendors.is_ready("local")
    assert Routes(vendors).route(HELLO, "local:second", timeouts={}, options={}).context.model == "second"
    assert len(asked) == 1
    given = vendors_of({"providers": {"local": {"base_url": "http://localhost:6"}}})
    assert given.is_ready("local")
    assert Routes(given).route(HELLO, "local:m", timeouts={}, options={}).request.url.startswith("http://localhost:6/")
    unasked = Routes(given).route(HELLO, "local:auto", timeouts={}, options={}).context.model
    assert unasked == "auto", "of a server that was named nobody knows what it has"
    assert len(asked) == 1


def test_no_server_found_is_told(installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing is found, or the server found lists no model for `auto`, the error says what to do."""
    none = Provider("local", "Local", "", auth=Auth(required=False), discover=lambda settings: ())
    empty = attrs.evolve(none, discover=lambda settings: [Discovery("acme", "http://localhost:5")])
    installed.local, installed.acme = none, attrs.evolve(ACME, auth=Auth(required=False))
    monkeypatch.setenv("CHATPORT_PLUGINS", "local=vendor_of_this_test:local,acme=vendor_of_this_test:acme")
    with pytest.raises(TransportError, match=r"no server answers on the usual ports") as caught:
        vendors_of().provider("local")
    assert not caught.value.retryable
    installed.local = empty
    with pytest.raises(ConfigurationError, match=r"lists no model; name one"):
        routes_of().route(HELLO, "local:auto", timeouts={}, options={})


TEXTS = st.sampled_from(["", " ", "a", "a:b", "é", "https://h.example", "\0", "env", "compatible"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.5, float("nan"), float("inf")]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["aliases", "providers", "models", "timeouts", "retry", "limits", "transport", "retired_models", "model"]
)
TABLES = st.dictionaries(
    TEXTS | st.sampled_from(["total", "attempts", "event_bytes"]),
    VALUES
    | st.dictionaries(
        st.sampled_from(
            ["kind", "base_url", "api_key", "headers", "timeouts", "patches", "targets", "dialect", "input"]
        ),
        VALUES,
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, VALUES | TABLES, max_size=4))
def test_whatever_is_given_the_error_is_ours(data: dict[str, Any]) -> None:
    """Any values at all give a configuration or a ConfigurationError, never another exception."""
    try:
        config = load_config(data, environment={"CHATPORT_CONFIG": ""})
    except ConfigurationError:
        return
    assert isinstance(config, Config)
    for name in config.models:
        vendors = Vendors(attrs.evolve(config, providers={}), environment={})
        provider = vendors.provider("acme")
        try:
            assert isinstance(vendors.facts(provider, name.partition(":")[2]), ModelFacts)
        except ChatportError:
            continue
