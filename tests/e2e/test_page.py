"""The page and the metrics of a running gateway: who sees what, how one signs in, and that nothing of a key stays.

addons/process/metrics.py, team/page_report.py, team/daily_sums.py and commands/metrics.py are tested here too.
"""

import json
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from addons.state import usage
from tests import browser as chromium
from tests.credentials import ADMIN, TOKEN
from tests.e2e.canaries import Canary, Secret
from tests.e2e.conftest import Providers
from tests.e2e.gateway import SAVING, Gateway
from tests.e2e.test_commands import command
from tests.e2e.users import key_of, user
from tests.fakes.provider import PATIENCE, Provider
from tests.fakes.scripts import Gate, error, insert, message, say, text

PRICE = {"input": 100, "output": 1000, "cache_read": 10, "cache_write": 200}
USAGE = {"input_tokens": 50, "output_tokens": 7, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 30}


@pytest.fixture(scope="module")
def routing(routing: dict[str, Any]) -> dict[str, Any]:
    models = {**routing["models"], "glm": {"provider": "zai", "model": "glm-5", "price": PRICE}}
    return {**routing, "models": models, "users": {"timezone": "UTC"}}


@pytest.fixture(scope="module")
def env(env: dict[str, str]) -> dict[str, str]:
    return {**env, "PROXY_STATIC_TOKEN": TOKEN, "LITELLM_MASTER_KEY": ADMIN}


@pytest.fixture(scope="module")
def alice(gateway: Gateway) -> str:
    return key_of(gateway, "alice", "--budget", "day=10,month=100")


@pytest.fixture(scope="module")
def bob(gateway: Gateway) -> str:
    return key_of(gateway, "bob")


def key(value: str) -> dict[str, str]:
    return {"x-litellm-api-key": value}


@pytest.fixture(scope="module")
def used(gateway: Gateway, providers: Providers, alice: str, bob: str) -> Gateway:
    """Alice has asked three times, Bob once, and one request of hers has failed."""
    providers.zai.script(*[message(text("Hi."), usage=USAGE) for _ in range(3)], error(400, "<b>no</b>"))
    for who in (alice, alice, bob, alice):
        gateway.post("glm", headers=key(who))
    path = gateway.directory / "gateway.sqlite"
    gateway.wait_until(lambda: len(usage.requests(path)) == 4)
    return gateway


def in_the_file(gateway: Gateway) -> None:
    """Waits until all that has been asked is in the ledger: rows come there one after the other."""
    session = str(uuid.uuid4())
    gateway.post("glm", headers={**key(TOKEN), "x-claude-code-session-id": session})
    gateway.wait_until(lambda: usage.sessions(gateway.directory / "gateway.sqlite", session=session))


@pytest.fixture
def browser(gateway: Gateway) -> Iterator[httpx.Client]:
    """A client that keeps cookies and follows nothing."""
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=PATIENCE) as client:
        yield client


def sign_in(browser: httpx.Client, value: str) -> httpx.Response:
    return browser.post("/gateway/login", data={"key": value})


def data(page: httpx.Response, part: str) -> list[float]:
    """The exact numbers in one part of the page."""
    section = page.text.partition(f' id="{part}"')[2].partition("</section>")[0]
    return [float(number) for number in re.findall(r'<data value="([^"]+)"', section)]


def test_without_a_key_there_is_a_door(used: Gateway, browser: httpx.Client) -> None:
    door = browser.get("/gateway/")
    assert door.status_code == 401
    assert 'name="key"' in door.text
    assert "alice" not in door.text
    assert (browser.get("/gateway/live").status_code, browser.get("/gateway").headers["location"]) == (401, "/gateway/")
    assert (
        browser.get("/gateway/", headers=key("wrong-key-0123456789")).json()["error"]["type"] == "authentication_error"
    )
    policy = door.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert door.headers["cache-control"] == "no-store"


def test_a_user_signs_in(used: Gateway, browser: httpx.Client, alice: str) -> None:
    answer = sign_in(browser, alice)
    assert (answer.status_code, answer.headers["location"]) == (303, "/gateway/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("gateway_session=")
    assert cookie.endswith("; Path=/gateway; Max-Age=604800; HttpOnly; SameSite=Strict")
    assert alice not in cookie
    page = browser.get("/gateway/?days=7")
    assert page.status_code == 200
    path = used.directory / "gateway.sqlite"
    [own] = usage.grouped(path, ["user"], user="alice")
    assert data(page, "cost")[:1] == [own.sums.cost_usd]
    assert data(page, "tokens")[:1] == [own.sums.total_tokens]
    assert "bob" not in page.text
    assert "claude:1" not in page.text
    assert len(data(page, "slowest")) == 3
    assert "&lt;b&gt;no&lt;/b&gt;" in page.text
    assert browser.get("/gateway/live?by=user").text.startswith('<div class="tiles">')
    browser.post("/gateway/logout")
    assert browser.get("/gateway/").status_code == 401


def test_the_administrator_sees_all(used: Gateway, browser: httpx.Client) -> None:
    sign_in(browser, ADMIN)
    page = browser.get("/gateway/?days=7&by=user")
    path = used.directory / "gateway.sqlite"
    rows = sorted(usage.grouped(path, ["user"]), key=lambda row: -(row.sums.cost_usd or 0))
    expected: list[float | None] = []
    for row in rows:
        sums, [name] = row.sums, row.keys
        expected += [sums.requests, sums.input_tokens, sums.output_tokens, sums.cache_write_tokens]
        expected += [sums.cache_read_tokens, sums.total_tokens, sums.cost_usd]
        expected += [sums.cost_usd, 10, sums.cost_usd, 100] if name == "alice" else []
    assert data(page, "users")[: len(expected)] == pytest.approx(expected)
    for part in ("accounts", "providers", "failovers", "running"):
        assert f'id="{part}"' in page.text
    assert "sk-ant-oat01…aaaa" in page.text


def test_budgets_are_what_the_ledger_knows(used: Gateway, alice: str, bob: str) -> None:
    path = used.directory / "gateway.sqlite"
    page = used.client.get("/gateway/", headers=key(alice))
    spent = usage.spent(path, 0, ["alice"])["alice"]
    assert data(page, "budget") == pytest.approx([spent, 10, spent, 100])
    assert 'id="budget"' not in used.client.get("/gateway/", headers=key(bob)).text
    text = used.client.get("/metrics", headers=key(ADMIN)).text
    ratios = dict(re.findall(r'gateway_user_budget_ratio{user="alice",period="(\w+)"} (\S+)', text))
    assert {period: float(ratio) for period, ratio in ratios.items()} == pytest.approx(
        {"day": spent / 10, "month": spent / 100}
    )


def test_a_cookie_opens_the_page_and_nothing_else(used: Gateway, browser: httpx.Client, providers: Providers) -> None:
    cookie = sign_in(browser, ADMIN).headers["set-cookie"].partition(";")[0]
    asked = sum(len(provider.requests) for provider in providers)
    for method, path in (
        *(("POST", "/v1/messages"), ("GET", "/v1/models"), ("GET", "/metrics"), ("POST", "/gateway/control/pool")),
        *(("POST", "/v1/messages?/gateway/"), ("GET", "/gateway/../v1/models"), ("GET", "/gateway/other")),
    ):
        answer = browser.request(method, path, headers={"cookie": cookie}, json={} if method == "POST" else None)
        assert answer.status_code == 401, path
    assert sum(len(provider.requests) for provider in providers) == asked
    assert browser.post("/gateway/", headers={"cookie": cookie}).status_code == 405


def test_a_wrong_key(gateway: Gateway, browser: httpx.Client) -> None:
    for value in ("wrong-key-0123456789", "", "gw-abcdefgh-" + "x" * 43):
        answer = sign_in(browser, value)
        assert (answer.status_code, "known here" in answer.text) == (401, True)
        assert "set-cookie" not in answer.headers
    assert browser.post("/gateway/login", content=b"\xff=%00&key").status_code == 401
    assert browser.post("/gateway/login", content=b"key=" + b"x" * 5000).status_code == 413
    assert browser.post("/gateway/login", content=iter([b"key=x"])).status_code == 413


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}]
)
def test_a_form_of_another_page(browser: httpx.Client, headers: dict[str, str]) -> None:
    answer = browser.post("/gateway/login", data={"key": ADMIN}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_behind_tls_the_cookie_is_for_tls_only(browser: httpx.Client) -> None:
    answer = browser.post("/gateway/login", data={"key": ADMIN}, headers={"x-forwarded-proto": "https"})
    assert answer.headers["set-cookie"].endswith("; SameSite=Strict; Secure")


def test_a_cookie_ends_with_its_key(gateway: Gateway, browser: httpx.Client) -> None:
    sign_in(browser, key_of(gateway, "carol"))
    assert browser.get("/gateway/").status_code == 200
    user(gateway, "revoke", "carol")
    gateway.wait_until(lambda: browser.get("/gateway/").status_code == 401)


def test_a_user_who_is_an_administrator(used: Gateway, browser: httpx.Client) -> None:
    chief = key_of(used, "chief", "--admin")
    sign_in(browser, chief)
    assert 'id="accounts"' in browser.get("/gateway/").text
    assert used.client.get("/metrics", headers=key(chief)).status_code == 200


def test_what_runs_is_shown(used: Gateway, zai: Provider, alice: str, bob: str) -> None:
    gate = Gate()
    zai.script(insert(say("One half, the other half."), gate, after=4))
    with used.stream("glm", headers=key(alice)) as stream:
        stream.until("content_block_delta")
        live = used.client.get("/gateway/live", headers=key(ADMIN)).text
        running = live.partition('id="running"')[2].partition("</section>")[0]
        assert [word in running for word in ("alice", "zai/glm-5", "answering", "main")] == [True] * 4
        assert "No request is running." in used.client.get("/gateway/live", headers=key(bob)).text
        assert "\ngateway_streams 1\n" in used.client.get("/metrics", headers=key(ADMIN)).text
        gate.open()
        stream.read()


def test_a_ledger_that_cannot_be_read(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    database = gateway.directory / "gateway.sqlite"
    gateway.wait_until(database.exists)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    page = gateway.client.get("/gateway/", headers=key(ADMIN))
    assert page.status_code == 200
    assert "can&#x27;t be read" in page.text
    assert 'id="accounts"' in page.text


def test_an_open_gate_needs_no_key(start_gateway: Callable[..., Gateway], env: dict[str, str]) -> None:
    gateway = start_gateway(
        env={name: value for name, value in env.items() if "TOKEN" not in name.replace("TOKENS", "")}
    )
    page = gateway.client.get("/gateway/")
    assert (page.status_code, 'id="accounts"' in page.text, "Sign out" in page.text) == (200, True, False)
    assert "Nobody has used the gateway yet." in page.text
    assert gateway.client.get("/metrics").status_code == 200
    assert 'name="key"' in gateway.client.get("/gateway/login").text
    with httpx.Client(base_url=gateway.url, trust_env=False) as browser:
        sign_in(browser, ADMIN)
        assert "<b>admin</b>" in browser.get("/gateway/").text
    for path in ("/gateway/", "/metrics", "/gateway/live"):
        assert gateway.client.get(path, headers={"host": "evil.example"}).status_code == 403


def test_nothing_of_a_key_or_a_cookie_stays(start_gateway: Callable[..., Gateway], env: dict[str, str]) -> None:
    token, admin = Canary("a static token"), Canary("an administrator's key")
    gateway = start_gateway(
        env={**env, "PROXY_STATIC_TOKEN": token.value, "LITELLM_MASTER_KEY": admin.value}, saving=True
    )
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=PATIENCE) as browser:
        for value in (token.value, admin.value):
            cookie = sign_in(browser, value).headers["set-cookie"].partition(";")[0].partition("=")[2]
            gateway.look_for([Secret("a cookie", cookie)])
            assert browser.get("/gateway/").status_code == 200
            assert browser.get("/gateway/live").status_code == 200
        sign_in(browser, "a-key-of-nobody-0123456789")
    gateway.look_for([token, admin])
    gateway.stop()
    gateway.assert_discreet()


# Metrics


def test_metrics(used: Gateway, alice: str) -> None:
    assert used.client.get("/metrics").status_code == 401
    assert used.client.get("/metrics", headers=key(alice)).status_code == 403
    in_the_file(used)
    answer = used.client.get("/metrics", headers=key(ADMIN))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        (sample.name, sample.labels.get("user", sample.labels.get("outcome", ""))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    [own] = usage.grouped(used.directory / "gateway.sqlite", ["user"], user="alice")
    assert found["gateway_user_cost_usd_total", "alice"] == pytest.approx(own.sums.cost_usd)
    assert found["gateway_requests_total", "error"] >= 1


def test_odd_names_of_models_stay_one_label(used: Gateway) -> None:
    for number in range(30):
        assert used.post(f'odd-"{number}"', headers=key(TOKEN)).status_code == 404
        assert used.client.get(f"/v1/scanned/{number}", headers=key(TOKEN)).status_code == 404
    text = used.client.get("/metrics", headers=key(ADMIN)).text
    assert "odd-" not in text
    assert "scanned" not in text
    assert 'gateway_requests_total{provider="",model="",class="main",outcome="error"} 30\n' in text


def test_the_command(used: Gateway) -> None:
    done = command(used, "metrics")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\ngateway_user_requests_total{" in done.stdout
    assert json.loads(command(used, "metrics", "--json").stdout)["text"].startswith("# HELP ")
    assert json.loads(command(used, "metrics", "--grafana", env={"GATEWAY_PORT": "9"}).stdout)["panels"]


# In a browser


@pytest.fixture(scope="module")
def shown(used: Gateway) -> Iterator[chromium.Page]:
    """The door of the page, in Chromium."""
    if SAVING:
        pytest.skip("signing in and looking are tried without a browser too")
    if not (chromium.CHROMIUM and chromium.DRIVER):
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    with chromium.page(f"{used.url}/gateway/", size=(1280, 900)) as page:
        yield page


def enter(page: chromium.Page, gateway: Gateway, value: str) -> None:
    """Sign in as somebody else."""
    page.driver.delete_all_cookies()
    page.driver.get(f"{gateway.url}/gateway/")
    page.driver.find_element(By.NAME, "key").send_keys(value + Keys.ENTER)
    page.wait(lambda: page.driver.find_elements(By.CSS_SELECTOR, ".tiles"), "the page behind the door")


def numbers(page: chromium.Page, part: str) -> list[float]:
    """The exact numbers in one part of the page, as the browser has them."""
    return [float(value) for (value,) in looked_at(page, f"#{part} data", "one.value")]


def looked_at(page: chromium.Page, selector: str, *what: str) -> list[list[Any]]:
    """What these expressions say of each element `one`: in one step, for the page is drawn anew while one looks."""
    script = f"return [...document.querySelectorAll(arguments[0])].map(one => [{', '.join(what)}])"
    found: list[list[Any]] = page.driver.execute_script(script, selector)
    return found


def colour(page: chromium.Page, selector: str) -> str:
    script = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    return str(page.driver.execute_script(script, selector))


def test_a_user_and_the_administrator_in_a_browser(
    used: Gateway, shown: chromium.Page, alice: str, providers: Providers
) -> None:
    path = used.directory / "gateway.sqlite"
    in_the_file(used)
    enter(shown, used, alice)
    [own] = usage.grouped(path, ["user"], user="alice")
    assert numbers(shown, "cost")[0] == own.sums.cost_usd
    assert "bob" not in shown.driver.page_source
    enter(shown, used, ADMIN)
    every = usage.grouped(path, ["user"])
    assert numbers(shown, "cost")[0] == pytest.approx(sum(row.sums.cost_usd or 0 for row in every))
    requests = {row.keys[0]: row.sums.requests for row in every}
    cells = ("td b", "td data")
    texts = [f"one.querySelector({cell!r}).innerText" for cell in cells]
    for name, count in looked_at(shown, "#users tbody tr", *texts):
        assert count == str(requests.get(name, 0))
    told = [line for line in shown.driver.get_log("browser") if "401 (Unauthorized)" not in line["message"]]
    assert told == []

    before = numbers(shown, "cost")[0]
    providers.zai.script(message(text("Hi."), usage=USAGE))
    used.post("glm", headers=key(alice))
    look = "document.dispatchEvent(new Event('visibilitychange'))"  # as when one comes back to the page
    shown.wait(lambda: shown.driver.execute_script(look) or numbers(shown, "cost")[0] > before, "the page to follow")
    assert alice not in shown.driver.page_source
    assert ADMIN not in shown.driver.current_url + shown.driver.page_source


def test_light_dark_and_narrow(used: Gateway, shown: chromium.Page) -> None:
    enter(shown, used, ADMIN)
    scheme = {"name": "prefers-color-scheme", "value": "light"}
    shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    assert colour(shown, "body") == "rgb(245, 244, 240)"
    shown.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{**scheme, "value": "dark"}]})
    assert colour(shown, "body") == "rgb(18, 19, 21)"
    for width in (400, 1280):
        shown.resize(width, 900)
        assert shown.driver.execute_script("return document.documentElement.scrollWidth") == width
    bars = looked_at(shown, "#cost .day rect.c0", "one.getBoundingClientRect().height")
    assert max(height for (height,) in bars) > 50


def test_without_a_script(used: Gateway, shown: chromium.Page, alice: str) -> None:
    shown.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        enter(shown, used, alice)
        assert numbers(shown, "tokens")[0] > 0
        assert not shown.driver.find_element(By.CSS_SELECTOR, ".live").is_displayed()
        shown.driver.find_element(By.LINK_TEXT, "7 days").click()
        shown.wait(lambda: "days=7" in shown.driver.current_url, "seven days")
        shown.driver.find_element(By.CSS_SELECTOR, "#cost-numbers summary").click()
        rows = shown.driver.find_elements(By.CSS_SELECTOR, "#cost-numbers tbody tr")
        assert [row.is_displayed() for row in rows] == [True]
        shown.driver.find_element(By.CSS_SELECTOR, ".who button").click()
        shown.wait(lambda: shown.driver.find_elements(By.NAME, "key"), "the door")
    finally:
        shown.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
