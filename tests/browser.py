"""mitmweb's page in a real browser: Debian's Chromium, headless, driven by selenium."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

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


class Page:
    """mitmweb as a person uses it: the list, a flow, a pane, a view."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        driver.get(url)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Until `condition()` is true; what is being drawn anew meanwhile counts as not yet."""
        WebDriverWait(self.driver, PATIENCE, ignored_exceptions=[WebDriverException]).until(lambda _: condition(), what)

    def rows(self) -> list[str]:
        """The text of each line of the flow list, from the top."""
        lines = self.driver.find_elements(By.CSS_SELECTOR, ".flow-table tbody tr")
        return [line.text for line in lines if line.text]

    def open(self, words: str) -> None:
        """Click on the first flow whose line has these words."""
        self.wait(lambda: any(words in row for row in self.rows()), f"a flow with {words!r}")
        lines = self.driver.find_elements(By.CSS_SELECTOR, ".flow-table tbody tr")
        next(line for line in lines if words in line.text).click()
        self.wait(self.shown, "the flow's text")

    def pane(self, name: str) -> None:
        """Request or Response."""
        self.driver.find_element(By.LINK_TEXT, name).click()
        self.wait(self.shown, f"the text of {name}")

    def view(self, name: str) -> str:
        """Choose a content view, and read it."""
        self.driver.find_element(By.PARTIAL_LINK_TEXT, "View:").click()
        self.wait(lambda: self.entries(name), "the menu")
        self.entries(name)[0].click()
        self.wait(lambda: name.lower() in self.chosen().lower(), name)
        self.wait(lambda: name in self.driver.find_element(By.CSS_SELECTOR, ".flow-detail").text, f"the heading {name}")
        return self.shown()

    def entries(self, name: str) -> list[WebElement]:
        """The menu's entries for a view: mitmweb writes them in lower case."""
        found = [self.driver.find_elements(By.LINK_TEXT, text) for text in (name, name.lower())]
        return [entry for entries in found for entry in entries]

    def chosen(self) -> str:
        """What the button of the menu says."""
        return self.driver.find_element(By.PARTIAL_LINK_TEXT, "View:").text

    def shown(self) -> str:
        """The text of the open view."""
        return "\n".join(line.text for line in self.driver.find_elements(By.CSS_SELECTOR, ".flow-detail pre div"))

    def resize(self, width: int, height: int) -> None:
        """The page's size in pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def screenshot(self, path: Path) -> None:
        """A PNG of the page, an open view at the top of its pane."""
        script = "document.querySelectorAll('.flow-detail .%s').forEach(found => found.scrollIntoView())"
        self.driver.execute_script(script % "contentview")
        self.driver.execute_script("document.activeElement.blur()")
        self.driver.save_screenshot(str(path))
        self.driver.execute_script(script % "first-line")


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
