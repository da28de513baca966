"""mitmweb as a person sees it, in Debian's Chromium, headless: one browser and one gateway for all of it.

The scripts and the style sheet in addons/views/mitmweb are tested here, with process/web_pages.py,
process/web_handlers.py, process/comparison_page.py and team/pool_page.py.
"""

import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from addons.views.mitmweb import COLUMNS
from tests import browser
from tests.e2e.conftest import TOKENS, Providers
from tests.e2e.gateway import SAVING
from tests.e2e.mitmweb import WebGateway
from tests.fakes.provider import Provider
from tests.fakes.scripts import Gate, agent, insert, oauth_429, say, text, thinking

pytestmark = [
    pytest.mark.skipif(
        not (browser.CHROMIUM and browser.DRIVER), reason="no Chromium: apt-get install chromium chromium-driver"
    ),
    pytest.mark.skipif(SAVING, reason="all that mitmweb shows is searched by test_mitmweb.py and test_no_secret.py"),
]
TOOLS = [{"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object"}}]
WIDE, NARROW = (1280, 900), (400, 860)


@pytest.fixture(scope="module")
def gateway(providers: Providers, routing: dict[str, Any], env: dict[str, str]) -> Iterator[WebGateway]:
    """It has answered a request, refused one, and sent one elsewhere, in this order."""
    with WebGateway(routing, env, upstream=providers.anthropic.url) as started:
        providers.zai.script(say("In this folder are two files."))
        started.post("glm", text="What is in this folder?", stream=True)
        started.post("no-such-model")
        providers.anthropic.script(oauth_429({"5h": time.time() + 3600}), oauth_429({"5h": time.time() + 3600}))
        providers.zai.script(agent(before=(thinking("I should run it."), text("Let me see. ")), usage_at_start=False))
        started.post("claude-sonnet-5-5", text="Please run echo hi.", stream=True, tools=TOOLS)
        yield started


@pytest.fixture(scope="module")
def chromium(gateway: WebGateway) -> Iterator[browser.Page]:
    with browser.page(gateway.page_url, size=WIDE) as opened:
        yield opened


@pytest.fixture
def page(chromium: browser.Page, gateway: WebGateway) -> browser.Page:
    """As somebody finds it who has never been there."""
    chromium.resize(*WIDE)
    chromium.scheme("light")
    chromium.run("localStorage.clear()")
    again(chromium, gateway)
    return chromium


def again(page: browser.Page, gateway: WebGateway) -> None:
    """Load mitmweb's page anew."""
    page.driver.get("about:blank")
    page.driver.get(gateway.page_url)
    page.wait(lambda: len(page.find_all("td.gw-story")) >= 4, "the flows")


def test_a_line_tells_of_its_request(page: browser.Page, gateway: WebGateway) -> None:
    heads = [head.text for head in page.find_all(".flow-table th") if head.text]
    assert heads == ["Time", "Who", "Story", "Status", "Tokens", "Duration"]
    assert "gw-down" in str(page.find("th.gw-time").get_attribute("class"))
    newest, refused, first = [row.split(" | ")[:6] for row in page.rows()[:3]]
    assert re.fullmatch(r"\d\d:\d\d:\d\d", newest[0])
    assert newest[1:4] == ["zai:1", "claude-sonnet-5-5 → anthropic 429 → anthropic 429 → zai/glm-5", "200"]
    assert first[2] == "glm → zai/glm-5"
    assert re.fullmatch(r"\d+ / \d+", first[4])
    assert re.fullmatch(r"[\d.]+ m?s", first[5])
    assert refused[2].startswith("no-such-model model: no route for 'no-such-model'")
    assert refused[3:5] == ["404", ""]
    kinds = page.run("return [...document.querySelectorAll('.gw-badge')].map(one => one.className.split('gw-')[2])")
    assert kinds[:3] == ["elsewhere", "failed", "well"]
    page.find("th.gw-time").click()  # the oldest first
    page.wait(lambda: "GET /health" in page.rows()[0], "another order")
    gateway.web.put("/options", json={"web_columns": ["path", "comment"]}).raise_for_status()
    page.wait(lambda: [one.text for one in page.find_all(".flow-table th") if one.text] == ["Path", "Comment"], "these")
    gateway.web.put("/options", json={"web_columns": COLUMNS}).raise_for_status()
    page.wait(lambda: page.find_all("th.gw-story"), "ours again")


def test_a_click_shows_the_trail_and_the_chosen_view_stays(page: browser.Page, gateway: WebGateway) -> None:
    trail = page.open("anthropic 429")
    assert page.active() == "Trail"
    assert "attempt 1 · anthropic/claude-sonnet-5-5 · 429" in trail
    assert "sk-ant-oat01…" in trail
    assert not page.find(".request .first-line").is_displayed(), "the headers are above it"
    assert "Please run echo hi." in page.view("Conversation")
    assert '"model": "glm-5"' in page.view("Changes")
    answer = page.view("Answer")
    assert "command: echo hi" in answer
    page.line("glm → zai").click()
    page.wait(lambda: "two files" in page.shown(), "the other flow's answer")
    again(page, gateway)
    assert "command: echo hi" in page.open("anthropic 429")
    for secret in gateway.secrets():
        assert secret.value not in page.driver.page_source


def test_panes_of_mitmwebs_own_stay_too(page: browser.Page, gateway: WebGateway) -> None:
    page.open("anthropic 429")
    page.tab("Request")
    assert page.find(".request .first-line").is_displayed()
    page.driver.find_element(By.PARTIAL_LINK_TEXT, "View:").click()
    page.wait(lambda: page.driver.find_elements(By.LINK_TEXT, "json"), "the menu")
    page.driver.find_element(By.LINK_TEXT, "json").click()
    page.wait(lambda: '"max_tokens"' in page.shown(), "JSON")
    page.tab("Response")
    page.line("glm → zai").click()
    page.wait(lambda: "two files" in page.shown(), "the response")
    again(page, gateway)
    page.open("anthropic 429")
    assert page.active() == "Response"
    page.tab("Request")
    page.wait(lambda: '"max_tokens"' in page.shown(), "JSON")
    page.find("body").send_keys(Keys.ARROW_RIGHT)  # mitmweb's own keys
    page.wait(lambda: page.active() == "Response", "the next pane")
    assert "attempt 3" in page.view("Trail")


def test_an_answer_that_runs_is_shown_as_it_comes(page: browser.Page, gateway: WebGateway, zai: Provider) -> None:
    middle, end = Gate(), Gate()
    zai.script(insert(insert(say("One half, the other half."), end, after=5), middle, after=4))
    with gateway.stream("glm") as stream:
        stream.until("content_block_delta")
        page.wait(lambda: page.find_all("td .gw-running"), "a running request")
        page.line("glm → zai").click()
        begun = page.view("Answer")
        assert "still running" in begun
        middle.open()
        page.wait(lambda: said(page.shown()) > said(begun) and "still running" in page.shown(), "more of it")
        end.open()
        stream.read()
    page.wait(lambda: "the other half." in page.shown() and "still running" not in page.shown(), "the whole answer")
    page.wait(lambda: not page.find_all("td .gw-running"), "the end")


def said(answer: str) -> int:
    """How many characters of its text an answer has so far."""
    return len(re.sub(r"[\s…]", "", answer.rpartition("\n\n")[2]))


def test_everything_can_be_read_in_light_and_dark(page: browser.Page, gateway: WebGateway) -> None:
    pale: dict[str, list[str]] = {}

    def look(place: str) -> None:
        for scheme in ("light", "dark"):
            page.scheme(scheme)
            pale[f"{place}, {scheme}"] = page.pale()

    look("the list")
    page.open("anthropic 429")
    for name in ("Trail", "Request", "Connection", "Changes"):
        page.tab(name)
        look(name)
    page.wait(lambda: page.find_all("pre .gw-add"), "what was changed")
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        ground, red, green = (colours(page, one) for one in ("body", "pre .gw-del", "pre .gw-add"))
        assert (min(ground) > 250) if scheme == "light" else (max(ground) < 40)
        assert red[0] > max(red[1:])
        assert green[1] > max(green[0], green[2])
    page.find(".gw-menu summary").click()
    look("a menu")
    for tab in ("Capture", "Options", "File"):
        page.driver.find_element(By.LINK_TEXT, tab).click()
        look(tab)
    for path in ("/gateway/pool/", f"/gateway/compare?flows={','.join(ids(page))}"):
        page.driver.get(gateway.page_url.partition("/?")[0] + path)
        look(path)
    assert {place: found for place, found in pale.items() if found} == {}


def colours(page: browser.Page, selector: str) -> list[int]:
    """Red, green and blue of what is behind a text."""
    found = page.run("return getComputedStyle(document.querySelector(arguments[0])).backgroundColor", selector)
    return [int(one) for one in re.findall(r"\d+", str(found))]


def ids(page: browser.Page) -> list[str]:
    """The first two flows that a model has answered."""
    found: list[str] = page.run(
        "return window.backend.store.getState().flows.list.filter(f => f.gateway?.tokens_out).map(f => f.id)"
    )
    return found[:2]


def test_an_export_of_each_attempt(page: browser.Page, gateway: WebGateway) -> None:
    page.open("anthropic 429")
    page.run("window.copied = []; navigator.clipboard.writeText = async (text) => window.copied.push(text)")
    menu = page.find(".gw-menu summary")
    menu.click()
    heads = [head.text for head in page.find_all(".gw-menu[open] h6")]
    assert heads[0] == "What the client asked"
    assert heads[1:] == [
        "Attempt 1 · anthropic/claude-sonnet-5-5 · 429",
        "Attempt 2 · anthropic/claude-sonnet-5-5 · 429",
        "Attempt 3 · zai/glm-5",
    ]
    for number, place in enumerate((0, 4, 11, 12)):  # the client's and the first attempt's curl, an answer, the last's
        if not page.find_all(".gw-menu[open]"):
            menu.click()
        page.find_all(".gw-menu[open] .gw-item")[place].click()
        page.wait(partial(page.run, f"return window.copied.length > {number}"), "a copy")
    asked, first, answer, last = page.run("return window.copied")
    assert f"http://127.0.0.1:{gateway.port}/v1/messages" in asked
    assert '-H "authorization: Bearer $CREDENTIAL"' in first
    assert '"model":"claude-sonnet-5-5"' in first.replace(": ", ":")
    assert answer.startswith("HTTP/1.1 429")
    assert "/api/anthropic/v1/messages" in last
    assert '"model":"glm-5"' in last.replace(": ", ":")
    for secret in (*TOKENS, *(secret.value for secret in gateway.secrets())):
        assert secret not in "".join((asked, first, answer, last))


def test_two_requests_side_by_side(page: browser.Page, gateway: WebGateway) -> None:
    page.line("anthropic 429").click()
    first = page.find_all(".flow-table tbody tr:has(.gw-well)")[-2]  # under it is the look at /health
    ActionChains(page.driver).key_down(Keys.CONTROL).click(first).key_up(Keys.CONTROL).perform()
    page.wait(lambda: page.find_all(".gw-bar a"), "the offer")
    assert page.find(".gw-compare a").get_attribute("href") == page.find(".gw-bar a").get_attribute("href")
    page.driver.get(str(page.find(".gw-bar a").get_attribute("href")))
    shown = page.find("main").text
    assert "Two different questions" in shown
    for words in ("Answered by zai/glm-5 (fallback) zai/glm-5", "Tokens out", "First event", "command: echo hi"):
        assert words in shown
    assert "In this folder are two files." in page.find("#right").text
    page.driver.get(f"{gateway.page_url.partition('/?')[0]}/gateway/compare?flows=none")
    assert "choose two requests" in page.find("main").text
    first, second = [flow["id"] for flow in gateway.flows() if "→" in flow["comment"]][:2]
    told = gateway.command("gateway.compare", f"@{first},{second}")
    assert "answered by" in told
    assert "In this folder are two files." in told


def test_the_same_request_to_another_model(page: browser.Page, gateway: WebGateway, providers: Providers) -> None:
    page.open("anthropic 429")
    page.find_all(".gw-menu summary")[1].click()
    page.wait(lambda: page.driver.find_elements(By.XPATH, "//button[text()='kimi']"), "the models")
    page.driver.find_element(By.XPATH, "//button[text()='kimi']").click()
    page.line("→ kimi/kimi-for-coding")
    assert providers.kimi.last.json["tools"] == TOOLS
    gateway.wait_until(lambda: not gateway.command("replay.client.count"))


def test_the_pool_and_what_runs(page: browser.Page, gateway: WebGateway, zai: Provider) -> None:
    assert page.find(".gw-pool").get_attribute("target") == "_blank"
    gate = Gate()
    zai.script(insert(say("Wait."), gate, after=5))
    with gateway.stream("glm") as stream:
        stream.until("content_block_delta")
        page.driver.get(str(page.find(".gw-pool").get_attribute("href")))
        assert "zai/glm-5" in page.find("#running").text
        gate.open()
    cards = page.find_all("#accounts .card")
    assert "claude:1" in cards[0].text
    assert "cooling" in cards[0].text
    cards[0].find_element(By.TAG_NAME, "button").click()
    page.wait(lambda: "usable" in page.find("#accounts .card:first-child h3").text, "the account is usable")
    assert "cooling" in page.find_all("#accounts .card")[1].text
    assert "cooling" not in gateway.command("gateway.pool").split("\n")[0]


def test_a_narrow_page(page: browser.Page, gateway: WebGateway) -> None:
    page.resize(*NARROW)
    page.open("429")
    wide = "return document.documentElement.scrollWidth"
    assert page.run(wide) <= NARROW[0]
    table, detail = page.find(".flow-table").rect, page.find(".flow-detail").rect
    assert detail["y"] >= round(table["y"] + table["height"]) - 1 > 0
    assert detail["width"] == NARROW[0]
    for path in ("/gateway/pool/", f"/gateway/compare?flows={','.join(ids(page))}"):
        page.driver.get(gateway.page_url.partition("/?")[0] + path)
        assert page.run(wide) <= NARROW[0], path


def test_two_thousand_flows_cost_what_thirty_cost(page: browser.Page) -> None:
    made = page.run(
        "const {store} = window.backend, flows = store.getState().flows.list, some = flows.at(-1);"
        "const many = Array.from({length: 2000}, (_, n) => ({...some, id: `n${n}`}));"
        "store.dispatch({type: 'flows/receive', payload: many}); return many.length"
    )
    assert made == 2000
    page.wait(lambda: page.run("return document.querySelector('.flow-table table').offsetHeight") > 2000 * 30, "them")
    page.run("document.querySelector('.flow-table').scrollTop = 30000")
    page.wait(lambda: page.find_all("td.gw-story"), "the cells")
    page.wait(
        lambda: page.run("return document.querySelectorAll('tr:has(td):not(:has(.gw-story))').length") == 0, "all"
    )
    assert page.run("return document.querySelectorAll('.gw-cell').length") < 6 * 60
