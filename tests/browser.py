"""mitmweb's page in a real browser: Debian's Chromium, headless, driven by selenium."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.fakes.provider import PATIENCE

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --disable-lcd-text"
)
POLL = 0.05
"""Seconds between two looks."""

LINES = "[...document.querySelectorAll('.flow-table tbody tr:has(td)')]"
CELLS = "line => [...line.cells].filter(one => one.offsetWidth).map(one => one.innerText.trim()).join(' | ')"

PALE = """
if (!document.querySelector("#still")) {
  const still = document.createElement("style");
  still.id = "still";
  still.textContent = "* { transition: none !important; animation: none !important; }";
  document.head.append(still);
}
const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const parse = (colour) => {
  const found = colour.match(/[\\d.]+/g).map(Number);
  return colour.startsWith("color(srgb") ? [...found.slice(0, 3).map((part) => part * 255), found[3] ?? 1] : found;
};
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const found = parse(getComputedStyle(element).backgroundColor);
    if ((found[3] ?? 1) > 0.5) return found;
  }
  return [255, 255, 255];
};
const pale = new Set();
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const typed = element.matches("input:not([type=checkbox], [type=radio], [type=hidden]), select");
  if (!(own || typed) || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
  if (!element.offsetWidth || element.closest("[disabled], .disabled, .connection-indicator")) continue;
  const colours = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
  const contrast = (colours[0] + 0.05) / (colours[1] + 0.05);
  const words = (element.textContent || element.value).slice(0, 40);
  if (contrast < arguments[0]) pale.add(`${element.tagName}.${element.className} ${contrast.toFixed(1)}: ${words}`);
}
return [...pale];
"""
"""Finds texts that can't be told from what is behind them."""


class Page:
    """mitmweb as a person uses it: the list, a flow, a pane, a view."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        driver.get(url)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Until `condition()` is true; what is being drawn anew meanwhile counts as not yet."""
        waiting = WebDriverWait(self.driver, PATIENCE, POLL, ignored_exceptions=[WebDriverException])
        waiting.until(lambda _: condition(), what)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def rows(self) -> list[str]:
        """The lines of the flow list that can be seen, from the top: the texts of their cells with ` | ` between."""
        found: list[str] = self.run(f"return {LINES}.map({CELLS})")
        return found

    def line(self, words: str) -> WebElement:
        """The first line with these words, once it is there."""
        found: list[WebElement] = []

        def look() -> bool:
            line = self.run(f"return {LINES}.find(line => ({CELLS})(line).includes(arguments[0]))", words)
            found[:] = [line] if line else []
            return bool(line)

        self.wait(look, f"a flow with {words!r}")
        return found[0]

    def open(self, words: str) -> str:
        """Click on the first flow whose line has these words, and read what is shown then."""
        self.line(words).click()
        self.wait(self.shown, "the flow's text")
        return self.shown()

    def tab(self, name: str) -> None:
        """Click on a tab of the flow: one of our views, or a pane of mitmweb's."""
        self.wait(lambda: self.driver.find_elements(By.LINK_TEXT, name), f"the tab {name}")
        next(tab for tab in self.find_all(".flow-detail nav a") if tab.text == name).click()
        self.wait(lambda: self.active() == name, f"the tab {name}")

    def view(self, name: str) -> str:
        """Choose one of our views, and read it."""
        before = "" if self.active() == name else self.shown()
        self.tab(name)
        self.wait(lambda: self.shown() not in ("", before), f"the text of {name}")
        return self.shown()

    def active(self) -> str:
        """The tab that is open."""
        look = "[...document.querySelectorAll('.flow-detail nav a.active')].find(%s)?.textContent ?? ''"
        ours = self.run(f"return {look % 'a => a.matches(`.gw-tab`)'}")
        return str(ours or self.run(f"return {look % 'a => true'}"))

    def shown(self) -> str:
        """The text of the open view."""
        return str(self.run("return document.querySelector('.flow-detail pre')?.innerText ?? ''"))

    def resize(self, width: int, height: int) -> None:
        """The page's size in pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def scheme(self, scheme: str) -> None:
        """The system's colours: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def pale(self, contrast: float = 3.0) -> list[str]:
        """The texts that can't be read: their colour is too near to the one behind them."""
        found: list[str] = self.run(PALE, contrast)
        return found

    def screenshot(self, path: Path) -> None:
        """A PNG of the page."""
        self.run("document.activeElement.blur()")
        self.driver.save_screenshot(str(path))


@contextmanager
def page(url: str, *, size: tuple[int, int] = (1600, 1000)) -> Iterator[Page]:
    """mitmweb's page at `url`, in a browser of its own with a page of that many pixels."""
    with TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            shown = Page(driver, url)
            shown.resize(*size)
            yield shown
        finally:
            driver.quit()
