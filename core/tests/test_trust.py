"""A configuration file that nobody named: what it may say, what makes it trusted, and what no file of others can do."""

from __future__ import annotations

import errno
import json
import os
import py_compile
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

import chatport
from chatport.basics.secret import Secret
from chatport.cli import group
from chatport.errors import ConfigurationError
from chatport.facts import ModelFacts
from chatport.limits.budget import Budget
from chatport.limits.policy import Policy, stricter
from chatport.provider import Provider
from chatport.setup import truststore
from chatport.setup.config import Config, load_config, load_with_files
from chatport.setup.configfile import read_config_file
from chatport.setup.tables import BudgetConfig
from chatport.setup.trust import stricter_budget
from chatport.setup.vendors import Vendors

needs_posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and permissions of POSIX")
CANARY = "sk-of-somebody-else-1234"

HARMLESS = """
model = "fast"
retired_models = "raise"
[aliases]
fast = "deepseek:deepseek-flash"
hard = { targets = ["deepseek:m", { target = "openai:m", weight = 2 }], reasoning = "high", max_tokens = 5 }
[providers.deepseek]
api_key = { env = "DEEPSEEK_API_KEY" }
timeouts = { first_event = 300 }
pacing = { concurrency = 2 }
[models."deepseek:deepseek-flash"]
context_tokens = 1000
max_output_tokens = 100
[timeouts]
total = 60
[retry]
attempts = 2
[breaker]
failures = 3
[hedge]
after_seconds = 1
[pacing]
requests_per_minute = 6
[policy]
forbid_training = true
[budget]
usd = 1
"""
"""Each table that a file may have without being trusted."""

DANGEROUS = {
    "patches": ('[providers.deepseek]\npatches = ["p.py"]', "providers.deepseek.patches (runs code)"),
    "no patches": ("[providers.deepseek]\npatches = []", "providers.deepseek.patches"),
    "command": ('[providers.deepseek]\napi_key = { command = ["touch", "ran"] }', "api_key (runs a program)"),
    "file": ('[providers.deepseek]\napi_key = { file = "/etc/hostname" }', "api_key (reads a file)"),
    "keyring": ('[providers.deepseek]\napi_key = { keyring = "a", user = "b" }', "api_key (reads the keyring)"),
    "variable": (
        '[providers.deepseek]\napi_key = { env = "AWS_SECRET_ACCESS_KEY" }',
        "reads a variable that is none of deepseek's own: AWS_SECRET_ACCESS_KEY",
    ),
    "another vendor's": ('[providers.deepseek]\napi_key = { env = "OPENAI_API_KEY" }', "none of deepseek's own"),
    "general key": ('[providers.deepseek]\napi_key = { env = "LLM_API_KEY" }', "none of deepseek's own"),
    "nobody's": ('[providers.nobody]\napi_key = { env = "NOBODY_API_KEY" }', "none of nobody's own"),
    "key": (f'[providers.deepseek]\napi_key = "{CANARY}"', "to the account of whoever owns this key"),
    "base_url": ('[providers.deepseek]\nbase_url = "https://evil.example"', "base_url (moves an address)"),
    "base_url here": ('[providers.deepseek]\nbase_url = "http://127.0.0.1:1"', "base_url (moves an address)"),
    "kind": ('[providers.openai]\nkind = "deepseek"', "providers.openai.kind (says whose key goes where)"),
    "compatible": ('[providers.x]\nkind = "compatible"\nbase_url = "https://evil.example"', "providers.x.base_url"),
    "headers": ('[providers.deepseek]\nheaders = { host = "evil.example" }', "headers (is sent with every request)"),
    "dialect": ('[providers.deepseek]\ndialect = { chat_path = "@evil.example/" }', "dialect (changes the requests)"),
    "region": ('[providers.qwen]\nregion = "singapore"', "providers.qwen.region (is a setting of the provider's own"),
    "address": ('[providers.groq]\naddress = "https://evil.example"', "providers.groq.address"),
    "misspelt": (f'[providers.deepseek]\napikey = "{CANARY}"', "providers.deepseek.apikey"),
    "regions": (
        '[providers.deepseek]\nbase_url = "https://api.deepseek.com"\nregions = ["EU"]\ntrains = false',
        "providers.deepseek.trains (is what a policy believes",
    ),
    "transport": ('transport = "httpx"', "transport (chooses what sends)"),
    "limits": ("[limits]\nbody_bytes = 1_000_000_000_000", "limits (says how much memory"),
    "log": ("[log]\ncontent = true", "log (has prompts and answers written"),
    "extra": ('[aliases]\na = { targets = "deepseek:m", extra = { tools = [] } }', "aliases.a.extra"),
    "prices": ('[models."openai:m"]\nprices = [{ match = "*", input = 0, output = 0 }]', "prices (is what budgets"),
    "rates": ("[budget]\nrates = { CNY = 0.000001 }", "budget.rates (is what budgets believe)"),
    "retired": (
        '[models."openai:m"]\nretired = { id = "m", since = "2020-01-01", successor = "n", options = { extra = {} } }',
        "retired (changes whom",
    ),
    "quirks": ('[models."openai:m"]\nquirks = { a = 1 }', "quirks (changes the requests)"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with nothing of this machine's user; the variables that an attacker would like are set."""
    for name in [name for name in os.environ if name.startswith(("LLM_", "CHATPORT_")) or name == "BASE_URL"]:
        monkeypatch.delenv(name)
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "of-the-user"))
    for variable in ("DEEPSEEK_API_KEY", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, f"sk-{variable}")
    working = tmp_path / "cloned"
    working.mkdir()
    monkeypatch.chdir(working)
    return working


def write(text: str, path: str = "chatport.toml") -> Path:
    Path(path).write_text(text, "utf-8")
    return Path(path)


def mine(text: str) -> None:
    """Write the user's own file."""
    path = truststore.user_file()
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def refused(action: Callable[[], Any] = load_config) -> str:
    with pytest.raises(ConfigurationError) as caught:
        action()
    return str(caught.value)


def trust() -> None:
    truststore.trust(read_config_file(Path("chatport.toml")))


# --- what it may say


def test_a_file_of_the_folder_may_say_how_calls_are_made() -> None:
    write(HARMLESS)
    config, files = load_with_files(None)
    assert (config.model, config.retry.attempts, config.timeouts["total"]) == ("fast", 2, 60)
    assert config.policy.forbid_training
    assert config.budget.usd == 1
    assert files == [(Path("chatport.toml"), "not trusted: it holds nothing that it would have to be trusted for")]
    assert Vendors(config).provider("deepseek").key == Secret("sk-DEEPSEEK_API_KEY")


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_file_of_the_folder_may_say_nothing_else(name: str) -> None:
    """Nothing of it is used, and the error names the file, the key, and both ways out; it shows no value."""
    text, words = DANGEROUS[name]
    write(f"{text}\n" if name == "transport" else f'model = "openai:m"\n{text}\n')
    shown = refused()
    assert words in shown
    assert str(Path("chatport.toml").resolve()) in shown
    assert "chatport trust" in shown
    assert "CHATPORT_CONFIG" in shown
    assert CANARY not in shown
    assert "evil.example" not in shown
    assert not Path("ran").exists()


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_file_that_is_named_may_say_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an argument, or in CHATPORT_CONFIG; and the same text in the user's own file."""
    write(DANGEROUS[name][0])
    assert isinstance(load_config("chatport.toml"), Config)
    monkeypatch.setenv("CHATPORT_CONFIG", "chatport.toml")
    assert load_with_files(None)[1] == [(Path("chatport.toml"), "named")]
    monkeypatch.delenv("CHATPORT_CONFIG")
    Path("chatport.toml").unlink()
    mine(DANGEROUS[name][0])
    assert load_with_files(None)[1] == [(truststore.user_file(), "your own")]


def test_every_table_is_either_allowed_or_refused_and_none_is_forgotten() -> None:
    """A new key of a configuration is refused until somebody has thought about it."""
    from chatport.setup import config, trust

    assert set(trust._HARMLESS) | {"transport", "limits", "log", *config.OTHERS_TABLES} == set(config._TOP_KEYS)
    assert set(trust._HARMLESS_OF["aliases"]) == {"targets", *config._ALIAS_OPTIONS} - {"extra"}
    facts = {field.name for field in attrs.fields(ModelFacts)}
    assert set(trust._HARMLESS_OF["models"]) == facts - {"prices", "retired", "rules", "protocols", "quirks", "source"}
    assert set(trust._HARMLESS_OF["providers"]) < set(config.PROVIDER_KEYS)


@pytest.mark.parametrize("command", [["explain", "hi"], ["doctor", "--no-search"], ["models", "deepseek"], ["decode"]])
def test_no_command_runs_a_patch_of_a_cloned_folder(command: list[str]) -> None:
    write('model = "deepseek:m"\n[providers.deepseek]\npatches = ["p.py"]\n')
    write("open('ran', 'w').close()\nprovider = 'deepseek'\n", "p.py")
    if command == ["decode"]:
        command = ["decode", "-p", "deepseek", "-"]
    result = CliRunner().invoke(group, command, input="data: [DONE]\n\n")
    assert result.exit_code == 2, result.output
    assert "providers.deepseek.patches (runs code)" in result.stderr
    assert not Path("ran").exists()


def test_many_refused_keys_make_no_long_error() -> None:
    write("".join(f'[providers.x{number}]\nkind = "compatible"\n' for number in range(500)))
    assert "and 492 more" in refused()
    assert len(refused()) < 2_000


@pytest.mark.parametrize("name", ["\\u001b[31mred", "\\u202egnp", "a\\nb", "\\u0000", "a" * 201])
def test_a_name_that_would_direct_a_terminal_is_refused(name: str) -> None:
    for text in (
        f'[providers."{name}"]\nkind = "x"',
        f'[aliases]\n"{name}" = "a:b"',
        f'[models."a:{name}"]\ninput = []',
    ):
        write(text)
        shown = refused()
        assert "has a name that is longer than 200 characters, or holds one that cannot be shown" in shown
        assert shown.isprintable()
    write(f'[providers.x]\n"{name}" = "https://evil.example"')
    assert refused().isprintable()


# --- what the user says is not loosened


def test_the_stricter_policy_holds() -> None:
    mine('[policy]\nallow_regions = ["EU"]\ndeny_models = ["*:a"]\nunknown = "deny"')
    write('[policy]\nallow_regions = ["DE", "US"]\nforbid_training = true\ndeny_models = ["*:b"]\nunknown = "allow"')
    assert load_config().policy == Policy(("DE",), True, None, ("*:a", "*:b"), "deny")
    argument = {"policy": {"allow_providers": ["openai"], "unknown": "allow"}}
    assert load_config(argument).policy == Policy(("DE",), True, ("openai",), ("*:a", "*:b"), "allow")


POLICIES = [
    Policy(),
    Policy(("EU",)),
    Policy(("DE", "US")),
    Policy(("FR",), unknown="allow"),
    Policy(allow_providers=("a", "b")),
    Policy(allow_providers=("b",), deny_models=("*:m",)),
    Policy(forbid_training=True, unknown="allow"),
]


@pytest.mark.parametrize("one", POLICIES)
@pytest.mark.parametrize("other", POLICIES)
def test_stricter_forbids_what_either_forbids(one: Policy, other: Policy) -> None:
    from chatport.facts import HostFacts
    from chatport.limits.policy import check_policy

    def allows(policy: Policy, provider: str, facts: HostFacts, model: str) -> bool:
        try:
            check_policy(policy, Provider(provider, provider, "https://h.example"), "https://h.example", model, facts)
        except chatport.PolicyError:
            return False
        return True

    both = stricter(one, other)
    for provider in ("a", "b", "c"):
        for regions in ((), ("DE",), ("FR",), ("EU",), ("US",), ("DE", "FR"), ("JP",)):
            for trains in (None, True, False):
                for model in ("m", "n"):
                    case = (provider, HostFacts(regions, trains), model)
                    assert allows(both, *case) <= (allows(one, *case) and allows(other, *case)), case
    assert stricter(one, one).is_open == one.is_open
    assert stricter(Policy(), one) in (one, attrs.evolve(one, unknown="deny"))


def test_the_lower_budget_holds_and_the_users_rates() -> None:
    mine('[budget]\nusd = 5\nunknown_cost = "refuse"\nrates = { CNY = 0.14 }')
    write('[budget]\nusd = 50\ntokens = 1000\nunknown_cost = "allow"')
    assert load_config().budget == BudgetConfig(5, 1000, "refuse", {"CNY": 0.14})
    assert load_config({"budget": {"usd": 0.5}}).budget.usd == 0.5
    allowing = BudgetConfig(5, None, "allow")
    assert stricter_budget(allowing, BudgetConfig(tokens=3)) == BudgetConfig(5, 3, "allow")
    assert stricter_budget(BudgetConfig(), allowing) == allowing
    assert stricter_budget(allowing, BudgetConfig(7)) == BudgetConfig(5, None, "refuse")


def test_no_budget_of_the_program_is_made_blind() -> None:
    """Facts without prices leave the vendor's own prices in force."""
    write('[models."deepseek:deepseek-flash"]\nmax_output_tokens = 1\n')
    with chatport.Client() as client, Budget(usd=0.000000001), pytest.raises(chatport.BudgetExceededError):
        client.chat("hello " * 1000, model="deepseek:deepseek-flash")


def test_a_key_that_the_user_has_stated_stays() -> None:
    mine(f'[providers.deepseek]\napi_key = "{CANARY}"')
    write('[providers.deepseek]\napi_key = { env = "DEEPSEEK_API_KEY" }')
    assert Vendors(load_config()).provider("deepseek").key == Secret(CANARY)


def test_naming_a_vendors_variable_sends_its_key_nowhere_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither to the user's proxy, which has not been given it, nor to an address that another program may mean."""
    write('[providers.deepseek]\napi_key = { env = "DEEPSEEK_API_KEY" }')
    mine('[providers.deepseek]\nbase_url = "https://proxy.example"')
    assert "DEEPSEEK_API_KEY is a key for api.deepseek.com" in refused(
        lambda: Vendors(load_config()).provider("deepseek")
    )
    mine("")
    monkeypatch.setenv("LLM_PROVIDER", "deepseek")
    monkeypatch.setenv("LLM_BASE_URL", "https://other.example")
    assert "$LLM_BASE_URL has requests go to other.example" in refused(
        lambda: Vendors(load_config()).provider("deepseek")
    )


def test_which_of_a_vendors_variables_holds_the_key_is_the_files_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZAI_API_KEY", "first")
    monkeypatch.setenv("GLM_API_KEY", "second")
    write('[providers.glm]\napi_key = { env = "GLM_API_KEY" }')
    assert Vendors(load_config()).provider("glm").key == Secret("second")


# --- the order of files


def test_the_users_own_file_lies_under_that_of_the_folder(tmp_path: Path) -> None:
    mine('model = "a:mine"\n[timeouts]\ntotal = 1\nconnect = 1\n[providers.x]\napi_key = { file = "k" }\n'
         'base_url = "https://x.example"\nkind = "compatible"\npatches = ["p.py"]\n')  # fmt: skip
    write('model = "a:folder"\n[timeouts]\ntotal = 2\n[providers.x]\ntimeouts = { total = 3 }')
    config = load_config({"timeouts": {"connect": 4}})
    assert (config.model, dict(config.timeouts)) == ("a:folder", {"total": 2.0, "connect": 4.0})
    own = tmp_path / "of-the-user" / "chatport"
    assert config.providers["x"].api_key == {"file": str(own / "k")}
    assert config.providers["x"].patches == (str(own / "p.py"),)
    assert config.providers["x"].timeouts == {"total": 3.0}


def test_a_file_that_is_named_is_read_in_place_of_both() -> None:
    mine('model = "a:mine"\n[timeouts]\ntotal = 1')
    write('model = "a:folder"')
    write('model = "a:named"', "named.toml")
    config = load_config("named.toml")
    assert (config.model, dict(config.timeouts)) == ("a:named", {})


def test_an_environment_of_ones_own_is_the_whole_environment() -> None:
    mine('model = "a:mine"')
    assert load_config(environment={}).model is None


# --- trusting a file


def test_a_trusted_file_is_a_file_like_any_other() -> None:
    write(DANGEROUS["base_url"][0] + '\napi_key = "k"\n[policy]\nunknown = "allow"')
    trust()
    config, files = load_with_files(None)
    assert Vendors(config).provider("deepseek").base_url == "https://evil.example"
    assert files == [(Path("chatport.toml"), "trusted")]


def test_changed_content_asks_again() -> None:
    path = write('transport = "httpx"')
    trust()
    assert load_config().transport == "httpx"
    path.write_text('transport = "httpx"\n', "utf-8")
    assert "has changed since you trusted it" in refused()
    path.write_text('transport = "httpx"', "utf-8")
    assert load_config().transport == "httpx"


def test_a_changed_patch_asks_again() -> None:
    """Also one that was not there, and one that has become too large, or no file."""
    write('[providers.deepseek]\npatches = ["p.py", "q.py"]')
    patch = write("provider = 'deepseek'\n", "p.py")
    trust()
    load_config()
    patch.write_text("provider = 'deepseek' \n", "utf-8")
    assert "or a patch that it names, has changed" in refused()
    patch.write_text("provider = 'deepseek'\n", "utf-8")
    load_config()
    for text in ("", "#" * 1_000_000):
        write(text, "q.py")
        assert "has changed" in refused()
    assert "larger than" in refused(trust)
    Path("q.py").unlink()
    load_config()
    Path("q.py").mkdir()
    assert "has changed" in refused()


def test_trust_is_for_one_place() -> None:
    """The same content elsewhere is another file: its relative paths lead elsewhere."""
    text = '[providers.deepseek]\npatches = ["p.py"]'
    write(text)
    trust()
    Path("other").mkdir()
    os.chdir("other")
    write(text)
    assert "nobody has named or trusted it" in refused()


@needs_posix
def test_a_link_to_a_trusted_file_is_another_file() -> None:
    write('[providers.deepseek]\npatches = ["p.py"]')
    trust()
    Path("other").mkdir()
    os.chdir("other")
    os.symlink("../chatport.toml", "chatport.toml")
    write("open('ran', 'w').close()", "p.py")
    assert "nobody has named or trusted it" in refused()


@needs_posix
def test_the_folder_may_be_reached_by_a_link(tmp_path: Path) -> None:
    write('transport = "httpx"')
    trust()
    os.symlink(os.getcwd(), tmp_path / "link")
    os.chdir(tmp_path / "link")
    assert load_config().transport == "httpx"


def test_compiled_code_beside_a_patch_is_not_run() -> None:
    """A reader sees the source. A repository may bring a compiled file beside it that says something else."""
    patch = write("open('evil', 'w').close()\n", "p.py")
    py_compile.compile(str(patch), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    patch.write_text("open('good', 'w').close()\n", "utf-8")
    write('[providers.deepseek]\npatches = ["p.py"]')
    trust()
    with pytest.raises(chatport.PluginError, match="has no function marked"):
        Vendors(load_config()).provider("deepseek")
    assert Path("good").exists()
    assert not Path("evil").exists()


# --- the store


@needs_posix
def test_the_store_is_its_users_alone(tmp_path: Path) -> None:
    write('transport = "httpx"')
    trust()
    store = tmp_path / "of-the-user" / "chatport" / "trusted.jsonl"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.parent.stat().st_mode) == 0o700
    assert [path.name for path in store.parent.iterdir()] == [store.name]
    (line,) = store.read_text("ascii").splitlines()
    assert json.loads(line)["path"] == str(Path("chatport.toml").resolve())


def test_a_broken_line_of_the_store_trusts_nothing(tmp_path: Path) -> None:
    write('transport = "httpx"')
    trust()
    store = tmp_path / "of-the-user" / "chatport" / "trusted.jsonl"
    whole = store.read_text("ascii")
    for bad in ("", "{", "[]", '{"path": 5}', "[" * 100_000, whole.replace('"sha256": "', '"sha256": "0'), "\udcff"):
        store.write_text(f"{bad}\n", "utf-8", "surrogateescape")
        assert "chatport trust" in refused()
        store.write_text(f"{bad}\n{whole}", "utf-8", "surrogateescape")
        assert load_config().transport == "httpx"


def test_a_store_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write('transport = "httpx"')
    (tmp_path / "of-the-user").write_text("no folder")
    assert "Cannot write" in refused(trust)


def test_a_store_that_cannot_take_the_place_of_the_old_one_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('transport = "httpx"')
    trust()
    store = tmp_path / "of-the-user" / "chatport" / "trusted.jsonl"
    before = store.read_bytes()
    write('transport = "sockets"')

    def replace(old: Any, new: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "replace", replace)
    assert refused(trust) == f"Cannot write {store}: Operation not permitted."
    assert [path.name for path in store.parent.iterdir()] == [store.name]
    assert store.read_bytes() == before


@needs_posix
def test_a_user_without_a_home_trusts_nothing_below_the_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the usual places are relative ones, and a repository could bring them along."""
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, "brought-along")
    monkeypatch.setattr(truststore, "_store", lambda: truststore._of_user(Path("~/.local/state/chatport/t.jsonl")))
    write('transport = "httpx"')
    folder = Path("brought-along/chatport")
    folder.mkdir(parents=True)
    write('transport = "httpx"', str(folder / "config.toml"))
    assert "chatport trust" in refused()
    assert "no home" in refused(trust)


# --- the file itself


@contextmanager
def nothing_opened(name: str) -> Iterator[None]:
    opened: list[str] = []
    active = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if active[0] and event == "open" and isinstance(arguments[0], str | os.PathLike):
            opened.append(os.fspath(arguments[0]))

    sys.addaudithook(hook)
    yield
    active[0] = False
    assert not [path for path in opened if Path(path).name == name]


@needs_posix
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to a device"])
def test_nothing_but_a_regular_file_is_opened(kind: str) -> None:
    """A pipe would let us wait, and opening a device may do something."""
    path = Path("chatport.toml")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device" and os.geteuid() == 0:
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        except OSError:
            pytest.skip("no devices can be made here")
    elif kind == "device":
        pytest.skip("only root makes devices")
    else:
        path.symlink_to("/dev/zero")
    with nothing_opened("chatport.toml"):
        assert "it is no regular file" in refused()


@needs_posix
def test_the_users_own_file_is_a_regular_one_too() -> None:
    mine("")
    path = truststore.user_file()
    assert path is not None
    path.unlink()
    os.mkfifo(path)
    with nothing_opened(path.name):
        assert "it is no regular file" in refused()


def test_what_is_trusted_is_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read once: what another program makes of it after that is not what runs."""
    path = write(HARMLESS)
    reads: list[Path] = []

    def reading(*arguments: Any, **options: Any) -> Any:
        file = read_config_file(*arguments, **options)
        reads.append(file.path)
        path.write_text(DANGEROUS["patches"][0], "utf-8")
        return file

    monkeypatch.setattr("chatport.setup.config.read_config_file", reading)
    assert load_config().model == "fast"
    assert reads == [path]


def test_a_large_file_is_not_read_to_its_end() -> None:
    write("#" * 1_000_000)
    assert "larger than the 256 KiB" in refused()


# --- the command


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(group, ["trust", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_shows_what_would_be_allowed_and_asks() -> None:
    """Without somebody to ask nothing is trusted."""
    write('[providers.deepseek]\nbase_url = "https://evil.example"\n'
          f'api_key = {{ command = ["sh", "-c", "curl \\u001b[2J evil.example", "{CANARY}"] }}')  # fmt: skip
    shown = run(code=1)
    for words in (
        "base_url = https://evil.example",
        "'sh' '-c' 'curl \\x1b[2J evil.example' '***'",
        "runs a program",
        "Confirm with --yes",
    ):
        assert words in shown
    assert "\x1b" not in shown
    assert CANARY not in shown
    assert "chatport trust" in refused()
    assert "Trusted" in run("--yes")
    load_config()
    assert "trusted  " in run("--list")
    assert "no longer trusted" in run("--revoke")
    assert "is not trusted" in run("--revoke")
    assert "chatport trust" in refused()
    assert run("--list") == ""


def test_the_command_says_what_needs_no_trust_and_what_cannot_have_it() -> None:
    write(HARMLESS)
    assert "needs no trust" in run()
    write("[providers]\nx = 5")
    assert "must be a table" in run("--yes", code=2)
    Path("chatport.toml").unlink()
    assert "No such file" in run("--yes", code=2)


def test_the_list_tells_files_that_have_changed_or_gone() -> None:
    path = write('transport = "httpx"')
    trust()
    path.write_text('transport = "sockets"', "utf-8")
    assert run("--list").startswith("changed ")
    path.unlink()
    assert run("--list").startswith("gone ")
