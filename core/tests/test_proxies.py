"""What is read from the environment of proxies: everything that is written there somewhere, and nothing shown."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

import pytest

from chatport.engine.commands import TransportFailure
from chatport.errors import ConfigurationError
from chatport.transport import proxies as module, sockets
from chatport.transport.proxies import Proxies, SystemSettings, read_proxies, system_settings, through

PASSWORD = "p4ssw0rd-of-the-proxy"
URL = "https://api.acme.example/v1"


def named(url: str = URL, **environment: str) -> str | None:
    """Return the URL of the proxy for an address."""
    proxy = read_proxies(environment).of(url)
    return None if proxy is None else proxy.url


@pytest.fixture
def socks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://one:3128"}, "http://one:3128"),
        ({"https_proxy": "one"}, "http://one:80"),
        ({"Https_Proxy": "one:3128"}, "http://one:3128"),
        ({"https_proxy": "https://one"}, "https://one:443"),
        ({"https_proxy": " http://one:3128/ "}, "http://one:3128"),
        ({"https_proxy": "HTTP://ONE:3128"}, "http://one:3128"),
        ({"https_proxy": "http://[::1]:3128"}, "http://[::1]:3128"),
        ({"https_proxy": "http://bücher.example:3128"}, "http://xn--bcher-kva.example:3128"),
        ({"ALL_PROXY": "http://all:1"}, "http://all:1"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://one:1"}, "http://one:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://one:1"}, None),
        ({"https_proxy": "http://two:1", "HTTPS_PROXY": "http://one:1"}, "http://two:1"),
        ({"HTTP_PROXY": "http://one:1"}, None),
        ({"FTP_PROXY": "http://one:1", "TRAVIS_APT_PROXY": "x"}, None),
        ({"ALL_PROXY": "socks://127.0.0.1:1080/"}, "socks5://127.0.0.1:1080"),
        ({"ALL_PROXY": "socks5h://one"}, "socks5://one:1080"),
    ],
)
def test_which_proxy_is_named(socks: None, environment: Mapping[str, str], proxy: str | None) -> None:
    assert named(**environment) == proxy


def test_what_a_client_of_a_cgi_program_wrote_names_no_proxy() -> None:
    assert named("http://llm.example/", HTTP_PROXY="http://evil:1", REQUEST_METHOD="GET") is None
    assert named("http://llm.example/", http_proxy="http://one:1", REQUEST_METHOD="GET") == "http://one:1"
    assert named("http://llm.example/", HTTP_PROXY="http://one:1") == "http://one:1"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://127.9.9.9/",
        "http://localhost:11434/v1",
        "https://LOCALHOST/",
        "http://box.localhost/",
        "http://[::1]:8000/v1",
        "http://[::ffff:127.0.0.1]/",
        "http://127.1:8080/",
        "https://2130706433/",
    ],
)
@pytest.mark.parametrize("value", ["http://one:1", ":bad", "socks5://one", "gopher://one"])
def test_this_machine_is_reached_directly_whatever_the_proxy_is(url: str, value: str) -> None:
    assert named(url, HTTP_PROXY=value, HTTPS_PROXY=value, ALL_PROXY=value) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("*", URL),
        ("other.example, *", URL),
        ("api.acme.example", URL),
        ("acme.example", URL),
        (".acme.example", URL),
        ("*.acme.example", URL),
        ("ACME.Example.", URL),
        ("other.example acme.example", URL),
        ("api.acme.example:443", URL),
        ("acme.example:8443", "https://api.acme.example:8443/v1"),
        ("https://api.acme.example", URL),
        ("all://acme.example", URL),
        ("api.acme.example", "https://api.acme.example./v1"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        ("xn--bcher-kva.example", "https://bücher.example/"),
        ("10.1.2.3", "https://10.1.2.3/"),
        ("10.0.0.0/8", "https://10.1.2.3:8443/"),
        ("10.0.0.7/8", "https://10.1.2.3/"),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/"),
        ("2001:db8::1", "https://[2001:db8::1]/"),
        ("[2001:db8::1]", "https://[2001:DB8:0::1]/"),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/"),
        ("2001:db8::/32", "https://[2001:db8:7::1]:8443/"),
        ("::/0", "https://[2001:db8:7::1]/"),
    ],
)
def test_what_no_proxy_covers_is_reached_directly_and_a_bad_proxy_does_not_matter(no_proxy: str, url: str) -> None:
    for value in ("http://one:1", ":bad", "socks5://one"):
        assert named(url, HTTPS_PROXY=value, NO_PROXY=no_proxy) is None
        assert named(url, all_proxy=value, no_proxy=no_proxy) is None


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", URL),
        (",, ,", URL),
        ("acme.example.com", URL),
        ("cme.example", URL),
        ("api.acme.example:8443", URL),
        ("http://api.acme.example", URL),
        ("10.0.0.0/8", "https://11.1.2.3/"),
        ("10.0.0.0/8", "https://[2001:db8::1]/"),
        ("2001:db8::/32", "https://[2001:db9::1]/"),
        ("10.0.0.0/8", "https://10.example/"),
        ("10.0.0.0/99", URL),
        ("[::1", URL),
        ("::1]:x", URL),
        ("fe80::1%eth0", URL),
        ("://", URL),
        (".", URL),
        ("*.", URL),
        (":443", URL),
        ("http://[::1", URL),
        ("\x00\ud800", URL),
        ("a" * 100_000, URL),
        ("..example", URL),
    ],
)
def test_anything_else_in_no_proxy_covers_nothing_and_breaks_nothing(no_proxy: str, url: str) -> None:
    assert named(url, HTTPS_PROXY="http://one:1", NO_PROXY=no_proxy) == "http://one:1"


# --- the settings of macOS and Windows


SETTINGS = SystemSettings(
    {"http": "http://plain:3128", "https": "http://secure:3128"}, lambda host: host.endswith("intern.example")
)


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        (URL, {}, "http://secure:3128"),
        ("http://llm.example/v1", {}, "http://plain:3128"),
        ("https://llm.intern.example/v1", {}, None),
        ("http://127.0.0.1:8080/v1", {}, None),
        (URL, {"HTTPS_PROXY": "http://one:1"}, "http://one:1"),
        ("https://llm.intern.example/v1", {"HTTPS_PROXY": "http://one:1"}, "http://one:1"),
        ("http://llm.example/v1", {"HTTPS_PROXY": "http://one:1"}, None),
        (URL, {"NO_PROXY": "acme.example"}, None),
        ("https://llm.example/v1", {"NO_PROXY": "acme.example"}, "http://secure:3128"),
    ],
)
def test_the_settings_of_the_system_count_where_the_environment_names_no_proxy(
    url: str, environment: Mapping[str, str], proxy: str | None
) -> None:
    found = read_proxies(environment, SETTINGS).of(url)
    assert (None if found is None else found.url) == proxy
    if found is not None and not environment:
        assert found.source == "the system's settings"


def test_a_bad_proxy_of_the_system_is_an_error_that_names_the_settings_and_no_password() -> None:
    settings = SystemSettings({"https": f"socks4://user:{PASSWORD}@one:1"}, lambda host: False)
    with pytest.raises(ConfigurationError, match="the system's settings names cannot be used") as caught:
        read_proxies({}, settings).of(URL)
    assert PASSWORD not in str(caught.value)
    assert read_proxies({}, settings).of("http://llm.example") is None


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_which_of_the_systems_settings_are_read(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {"http": "http://a:1", "https": "http://b:1", "ftp": "http://c:1", "socks": "d:1"}
    monkeypatch.setattr("urllib.request.getproxies", lambda: everything)
    monkeypatch.setattr("urllib.request.proxy_bypass", lambda host: host == "left.out")
    settings = system_settings(platform)
    assert settings is not None
    assert settings.urls == {"http": "http://a:1", "https": "http://b:1"}
    assert settings.is_bypassed("left.out")
    assert not settings.is_bypassed("llm.example")
    assert system_settings("linux") is None
    monkeypatch.setattr(sockets.sys, "platform", platform)  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "system_settings", lambda: settings)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert sockets._has_proxy()
    assert read_proxies().of(URL) is not None
    monkeypatch.setattr(module, "system_settings", lambda: SystemSettings({}, lambda host: False))
    assert not sockets._has_proxy()


BAD = {
    ":bad": "host or port",
    "http://": "host and port",
    "http://one:99999": "host or port",
    "http://one:0": "host and port",
    "http://one:port": "host or port",
    "http://[::1": "host or port",
    f"http://user:{PASSWORD}": "host or port",
    f"http://user:{PASSWORD}@": "host and port",
    f"http://user:{PASSWORD}@one:bad": "host or port",
    f"http://user:/{PASSWORD}@one:1": "percent-encoded",
    f"http://user:{PASSWORD}#x@one:1": "host or port",
    f"user:{PASSWORD}@..:1": "host and port",
    f"gopher://user:{PASSWORD}@one:1": "protocol",
    f"socks4://user:{PASSWORD}@one:1": "protocol",
    f"socks5://user:{PASSWORD}@one:1": r"pip install \"httpx\[socks\]\"",
    f"socks://user:{PASSWORD}@one:1": r"pip install \"httpx\[socks\]\"",
    f"http://user:{PASSWORD} @one:1": "blanks",
    f"http://user:{PASSWORD}@one two:1": "blanks",
    f"http://user:{PASSWORD}@one\r\nx: y:1": "blanks",
    "http://" + "a" * 64: "host and port",
}


@pytest.mark.parametrize("value", BAD)
def test_a_bad_proxy_is_an_error_that_names_its_variable_and_shows_no_password(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    read = read_proxies({"HTTPS_PROXY": value})
    with pytest.raises(ConfigurationError, match=BAD[value]) as caught:
        read.of(URL)
    assert "$HTTPS_PROXY" in str(caught.value)
    assert "api.acme.example" in str(caught.value)
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    shown = shown.partition("in of\n")[2]  # the frames of our own
    assert shown
    assert PASSWORD not in shown + repr(read) + str(caught.value)
    assert caught.value.__context__ is None


def test_a_password_is_read_whole_and_shown_nowhere() -> None:
    proxy = read_proxies({"HTTPS_PROXY": f"http://us%40er:{PASSWORD}%2F%23@one:1"}).of(URL)
    assert proxy is not None
    assert proxy.auth == ("us@er", f"{PASSWORD}/#")
    echo = TransportFailure(f"407 no: us@er:{PASSWORD}/# {PASSWORD}/#", stage="connect", kind="ProxyError")
    told = through(proxy, echo)
    assert PASSWORD not in repr(proxy) + str(proxy) + proxy.url + str(told)
    assert "Through the proxy http://one:1 (named by $HTTPS_PROXY): 407 no: ***" in str(told)
    assert through(None, echo) is echo


def test_an_address_that_is_none_has_no_proxy() -> None:
    read: Proxies = read_proxies({"ALL_PROXY": "http://one:1"})
    assert read.of("http://[::1") is None
    assert read.of("http://a:port/") is None
