"""The page in a real Chromium: it shows what the API says, and works without a mouse, in the dark, and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import attrs
import httpx
import pytest

import chatport
from chatport.testing import Emulator
from chatport_gateway import Gateway, GatewaySettings

from ..conftest import Listening
from .browser import Browser, chromium, missing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

TOKEN = "-".join(["page"] * 9)
IMAGE = "<img src=x onerror=window.hacked=1>"
SCRIPT = "</td><script>window.hacked=1</script>"
HEBREW = "מפתח של השירות"
LONG = "long" * 25


@attrs.frozen
class Site:
    """A gateway with its admin port, and a browser before it."""

    browser: Browser
    models: str
    origin: str

    def api(self, path: str, **body: Any) -> Any:
        """Ask the API as a program does: with a body it is a change."""
        method = "POST" if body else "GET"
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = httpx.request(method, f"{self.origin}/api/v1/{path}", headers=headers, json=body or None)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def call(self, secret: str, model: str = "main") -> int:
        """Ask a model; return the status."""
        body = {"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "say: one two three"}]}
        headers = {"authorization": f"Bearer {secret}"}
        return httpx.post(f"{self.models}/v1/chat/completions", headers=headers, json=body).status_code

    def open(self) -> None:
        """Open the page anew, with nobody signed in."""
        self.browser.open(f"{self.origin}/page.css")  # where no script of the page can keep a token meanwhile
        self.browser.run("sessionStorage.clear()")
        self.browser.open(f"{self.origin}/")
        self.browser.wait("document.activeElement.id === 'token'")

    def sign_in(self) -> None:
        """Open the page anew, and go in."""
        self.open()
        self.browser.press(TOKEN, "Enter")
        self.browser.wait("document.documentElement.dataset.ready === 'yes'")

    def text(self, selector: str) -> str:
        """Return what is written in an element."""
        return str(self.browser.run("return document.querySelector(arguments[0]).innerText", selector))


@pytest.fixture(scope="module")
def site_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    emulator = Emulator("compatible")
    config = emulator.config(
        aliases={"main": ["compatible:emulated-model"]},
        models={"compatible:emulated-model": {"prices": [{"match": "*", "input": 10.0, "output": 100.0}]}},
        team={"folder": str(tmp_path_factory.mktemp("team")), "usd_month": 100},
        records={"write_seconds": 0.01},
        admin={"port": 0, "token_hash": f"sha256:{sha256(TOKEN.encode()).hexdigest()}"},
    )
    gateway = Gateway(client=chatport.AsyncClient(config, transport=emulator), settings=GatewaySettings(port=0))
    listening = Listening(gateway)
    try:
        assert listening.gateway.admin is not None
        origin = f"http://127.0.0.1:{listening.gateway.admin.port}"
        with chromium(tmp_path_factory.mktemp("chromium")) as browser:
            site = Site(browser, listening.url, origin)
            _populate(site)
            yield site
    finally:
        listening.stop()


def _populate(site: Site) -> None:
    project = site.api("projects", name=SCRIPT, limits={"usd_month": 50})["id"]
    for name in ("ci", IMAGE, HEBREW, LONG):
        limits = {"usd_day": 5, "requests_per_minute": 600}
        secret = site.api("keys", name=name, project_id=project, limits=limits)["secret"]
        assert site.call(secret) == 200
    assert site.call(secret, IMAGE) == 404
    assert site.call(secret, "evil\u202egpj.exe") == 404


@pytest.fixture
def site(site_of_all: Site) -> Iterator[Site]:
    """Return the site, with a console and a list of requests that are looked at after the test."""
    browser = site_of_all.browser
    browser.screen(width=1280)
    browser.open("about:blank")
    browser.problems()
    browser.requests()
    yield site_of_all
    problems = [one for one in browser.problems() if "401" not in one]  # a wrong token, which is asked for once
    asked = browser.requests()
    assert problems == []
    assert asked
    assert [url for url in asked if not url.startswith(f"{site_of_all.origin}/")] == []
    assert browser.run("return window.hacked") is None


def _usd(value: float) -> str:
    """Return dollars as the page writes them."""
    return f"${value:,.{2 if value == 0 or value >= 1 else 4 if value >= 0.001 else 6}f}"


def test_nobody_comes_in_without_the_token(site: Site) -> None:
    browser = site.browser
    site.open()
    browser.press("not the token, but as long as it is", "Enter")
    browser.wait("document.getElementById('token-problem').textContent")
    assert "not the admin token" in site.text("#token-problem")
    assert browser.run("return document.getElementById('app').hidden && sessionStorage.length === 0")
    assert browser.run("return document.cookie") == ""


def test_the_figures_are_those_of_the_api(site: Site) -> None:
    site.sign_in()
    browser = site.browser
    overview = site.api("overview")
    tiles = browser.run("return [...document.querySelectorAll('.tile .value')].map((one) => one.textContent)")
    assert tiles[0] == tiles[1] == _usd(overview["today"]["usd"])
    assert tiles[2] == str(overview["today"]["calls"])
    for by in ("model", "key", "vendor", "project"):
        told = site.api(f"usage?by={by}")
        nobody = {"project": "without a project"}.get(by, "nobody: refused before")
        browser.run(
            "const by = document.getElementById('usage-form').elements.by; by.value = arguments[0];"
            "by.dispatchEvent(new Event('change', {bubbles: true}))",
            by,
        )
        browser.wait("document.querySelector('#usage-table caption').textContent === arguments[0]", f"Cost by {by}")
        rows = browser.run(
            "return [...document.querySelector('#usage-table table').tBodies[0].rows].map((row) =>"
            " [...row.cells].map((cell) => cell.textContent))"
        )
        expected = [[group["name"], str(group["calls"]), _usd(group["usd"])] for group in told["groups"]]
        assert [[row[0], row[3], row[2]] for row in rows[:-1]] == [
            [name or nobody, calls, usd] for name, calls, usd in expected
        ]
        assert rows[-1][3] == str(told["total"]["calls"])
        assert rows[-1][2] == _usd(told["total"]["usd"])
    errors = site.api("errors")["errors"]
    assert str(sum(one["calls"] for one in errors)) in site.text("#errors")
    shown = browser.run("return document.querySelectorAll('#calls-table tbody tr').length")
    assert shown == len(site.api("calls?most=10")["calls"])
    (target,) = site.api("targets")["targets"]
    assert target["target"] in site.text("#targets")
    assert f"breaker {target['breaker']}" in site.text("#targets")


def test_the_chart_is_read_with_the_arrows_and_stands_in_a_table(site: Site) -> None:
    site.sign_in()
    browser = site.browser
    browser.run("document.querySelector('.chart').focus()")
    today = browser.run("return document.activeElement.getAttribute('aria-valuetext')")
    total = site.api("usage")["total"]["usd"]
    assert _usd(total) in today
    browser.press("Left")
    before = browser.run("return document.activeElement.getAttribute('aria-valuetext')")
    assert before != today
    assert before.endswith("$0.00")
    browser.press("Right")
    assert browser.run("return document.activeElement.getAttribute('aria-valuetext')") == today
    days = browser.run("return document.querySelectorAll('#usage-table details tbody tr').length")
    assert days == 30


def _tab_to(browser: Browser, selector: str, most: int = 80) -> None:
    """Go on with the Tab key until an element has the focus, which is seen each time."""
    for _ in range(most):
        browser.press("Tab")
        if browser.run("return document.activeElement.matches(arguments[0])", selector):
            seen = browser.run(
                "const style = getComputedStyle(document.activeElement);"
                "return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2"
            )
            assert seen, f"the focus is not seen at {selector}"
            return
    raise AssertionError(f"the Tab key does not come to {selector}")


def test_a_key_is_made_and_revoked_with_the_keyboard_alone(site: Site) -> None:
    site.sign_in()
    browser = site.browser
    _tab_to(browser, "#new-key")
    browser.press("Enter")
    browser.wait("document.activeElement.name === 'name'")
    browser.press("by keyboard")
    _tab_to(browser, "[name=usd_day]")
    browser.press("2.5")
    _tab_to(browser, "dialog button.primary")
    browser.press("Enter")
    secret = browser.wait("document.querySelector('dialog .secret')?.value")
    assert site.call(secret) == 200
    _tab_to(browser, "dialog button.primary", 3)
    browser.press("Enter")
    browser.wait("document.getElementById('said').textContent === 'by keyboard is made.'")
    assert browser.run("return document.activeElement.id") == "new-key"
    assert browser.run("return document.body.innerText.includes(arguments[0])", secret) is False
    key = next(one for one in site.api("keys")["keys"] if one["name"] == "by keyboard")
    limits = site.api(f"limits/key:{key['id']}")["limits"]
    assert [(limit["kind"], limit["limit"]) for limit in limits] == [("usd_day", 2.5)]

    _tab_to(browser, "[aria-label='Revoke by keyboard']")
    browser.press("Enter")
    browser.wait("document.querySelector('dialog button.danger')")
    browser.press("Escape")
    browser.wait("!document.querySelector('dialog')")
    assert site.call(secret) == 200
    assert browser.run("return document.activeElement.ariaLabel") == "Revoke by keyboard"
    browser.press("Enter")
    browser.wait("document.querySelector('dialog button.danger')")
    _tab_to(browser, "dialog button.danger", 3)
    browser.press("Enter")
    browser.wait("document.getElementById('said').textContent === 'by keyboard is revoked.'")
    assert browser.run("return document.activeElement !== document.body")
    assert site.call(secret) == 401
    row = "[...document.querySelectorAll('#keys-table tbody tr')].find((row) => row.innerText.includes('by keyboard'))"
    assert "revoked" in browser.run(f"return {row}.innerText")


def test_a_change_that_is_refused_says_why_and_keeps_what_was_written(site: Site) -> None:
    site.sign_in()
    browser = site.browser
    browser.run("document.getElementById('new-project').focus()")
    browser.press("Enter")
    browser.wait("document.activeElement.name === 'name'")
    browser.press("gateway", "Enter")
    browser.wait("document.querySelector('dialog [role=alert]').textContent")
    assert "no name of a project" in site.text("dialog [role=alert]")
    assert browser.run("return document.querySelector('dialog [name=name]').value") == "gateway"
    browser.press("Escape")
    browser.wait("!document.querySelector('dialog')")
    assert len(browser.problems()) == 1  # the 400 that it was


def test_hostile_names_are_shown_as_what_they_are(site: Site) -> None:
    site.sign_in()
    browser = site.browser
    browser.wait("document.querySelectorAll('#calls-table tbody tr').length")
    shown = browser.run("return document.getElementById('content').innerText")
    for name in (IMAGE, SCRIPT, HEBREW, LONG):
        assert name in shown, name
    assert "\u202e" not in shown
    assert "evil\ufffdgpj.exe" in shown
    assert browser.run("return document.querySelectorAll('img:not([src=\"icon.svg\"]), body script').length") == 0
    assert browser.run("return [...document.querySelectorAll('bdi')].every((one) => one.children.length === 0)")


_NUMBERS = re.compile(r"[\d.]+")


def _luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in _NUMBERS.findall(colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_read_in_the_light_and_in_the_dark(site: Site, *, dark: bool) -> None:
    site.browser.screen(width=1280, dark=dark)
    site.sign_in()
    ground = site.browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (_luminance(ground) < 0.05) is dark
    pairs = site.browser.run(
        "const card = getComputedStyle(document.querySelector('.card')).backgroundColor;"
        "return ['h2', '.muted', 'thead th', 'small', '.value', '.hint', '.chip', 'nav a', 'button', 'button.primary',"
        " 'button.danger', '.chart text'].map((selector) => {"
        " const one = document.querySelector('#content ' + selector) ?? document.querySelector(selector);"
        " const style = getComputedStyle(one);"
        " const own = style.backgroundColor; const isOwn = !own.startsWith('rgba');"
        " return [selector, selector === '.chart text' ? style.fill : style.color, isOwn ? own : card]; })"
    )
    low = {selector: round(_contrast(text, behind), 2) for selector, text, behind in pairs}
    assert all(value >= 4.5 for value in low.values()), low


def test_a_phone_has_no_need_to_scroll_sideways(site: Site) -> None:
    browser = site.browser
    browser.screen(width=375, height=740, mobile=True)
    site.sign_in()
    assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [375, 375]
    wide = browser.run(
        "return [...document.querySelectorAll('#app *')].filter((one) => !one.closest('.unseen, thead, .skip') &&"
        " one.getBoundingClientRect().right > 375.5).map((one) => one.outerHTML.slice(0, 120))"
    )
    assert wide == []
    browser.run("document.getElementById('new-key').click()")
    browser.wait("document.querySelector('dialog')")
    assert browser.run("return document.querySelector('dialog').getBoundingClientRect().right <= 375")
    assert browser.run("return document.documentElement.scrollWidth") == 375
    browser.press("Escape")
    small = browser.run(
        "return [...document.querySelectorAll('#app button')].filter((one) => one.checkVisibility() &&"
        " one.getBoundingClientRect().height < 30).map((one) => one.textContent)"
    )
    assert small == []  # to be met with a finger


def test_all_has_a_name_for_who_does_not_see_it(site: Site) -> None:
    site.sign_in()
    unnamed = site.browser.run(
        "return [...document.querySelectorAll('button, a, input, select, [role=meter], [role=slider], table, section')]"
        ".filter((one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.length || one.caption ||"
        " one.hasAttribute('aria-labelledby'))).map((one) => one.outerHTML.slice(0, 120))"
    )
    assert unnamed == []
    broken = site.browser.run(
        "const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);"
        "const twice = ids.filter((id, at) => ids.indexOf(id) !== at);"
        "const lost = [...document.querySelectorAll('[for], [aria-labelledby], [aria-describedby]')].flatMap((one) =>"
        " ['for', 'aria-labelledby', 'aria-describedby'].flatMap((name) => (one.getAttribute(name) ?? '').split(' ')))"
        ".filter((id) => id && !ids.includes(id));"
        "return [...twice, ...lost]"
    )
    assert broken == []


def test_signing_out_leaves_nothing(site: Site) -> None:
    site.sign_in()
    browser = site.browser
    assert browser.run("return sessionStorage.length") == 1
    browser.run("document.getElementById('sign-out').click()")
    browser.wait("!document.getElementById('login').hidden")
    assert browser.run("return sessionStorage.length + localStorage.length") == 0
    assert "ci" not in browser.run("return document.body.textContent").split()
    browser.open(f"{site.origin}/")
    assert browser.run("return document.getElementById('app').hidden")
