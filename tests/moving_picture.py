"""Makes the moving picture at the top of README: what a person does in mitmweb with the demo's requests, in a real
browser. Needs Pillow (it comes with matplotlib, for the benchmark's plots).

python -m tests.moving_picture [FILE]          (tests/screenshots/demo.gif)
"""

import io
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from selenium.webdriver.remote.webelement import WebElement

from tests import browser
from tests.e2e.mitmweb import WebGateway
from tests.fakes.demo_traffic import morning
from tests.screenshots import FOLDER, TWO_ANSWERS, running

SIZE = (1120, 640)
COLOURS = 128
STEPS = 5
"""Pictures of a pointer on its way."""

OVERLAY = """
const add = (id, style) => {
  let found = document.getElementById(id);
  if (!found) {
    found = document.createElement("div");
    found.id = id;
    document.documentElement.append(found);
    Object.assign(found.style, style);
  }
  return found;
};
const [words, x, y] = arguments;
add("said", {
  position: "fixed", left: "54%", top: "5px", transform: "translateX(-50%)", padding: "5px 18px", zIndex: 3000,
  borderRadius: "16px", background: "#b4532a", color: "#fff", font: "600 15px sans-serif", whiteSpace: "nowrap",
}).textContent = words;
const pointer = add("pointer", { position: "fixed", width: "22px", height: "28px", zIndex: 3001 });
pointer.style.pointerEvents = "none";
if (!pointer.firstChild) {
  const draw = (name, attributes, parent) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };
  const svg = draw("svg", { viewBox: "0 0 22 28", width: 22, height: 28 }, pointer);
  draw("path", { d: "M1 1v22l6-5 4 9 4-2-4-9h8z", fill: "#111", stroke: "#fff", "stroke-width": 1.5 }, svg);
}
Object.assign(pointer.style, { left: `${x}px`, top: `${y}px` });
"""


class Film:
    """Pictures of a page, each with the time for which it is seen."""

    def __init__(self, page: browser.Page) -> None:
        self.page = page
        self.shots: list[Any] = []
        self.durations: list[int] = []
        self.words = ""
        self.at = (SIZE[0] * 0.6, SIZE[1] * 0.75)

    def shoot(self, seconds: float) -> None:
        """The page as it is."""
        self.page.run(OVERLAY, self.words, *self.at)
        image = import_module("PIL.Image")
        shot = image.open(io.BytesIO(self.page.driver.get_screenshot_as_png())).convert("RGB")
        self.shots.append(shot)
        self.durations.append(round(seconds * 1000))

    def point(self, target: WebElement) -> None:
        """Move the pointer there."""
        box = target.rect
        (x, y), (to_x, to_y) = self.at, (box["x"] + min(box["width"] / 2, 120), box["y"] + box["height"] / 2)
        for step in range(1, STEPS + 1):
            part = step / STEPS
            part = part * part * (3 - 2 * part)
            self.at = (x + (to_x - x) * part, y + (to_y - y) * part)
            self.shoot(0.06)

    def click(self, target: WebElement, words: str, *, seconds: float, keys: str = "") -> None:
        """Point there, click, and see what comes."""
        self.point(target)
        self.page.run(f"arguments[0].dispatchEvent(new MouseEvent('click', {{bubbles: true, {keys}}}))", target)
        self.words = words
        time.sleep(0.5)  # what comes is asked for and drawn
        self.shoot(seconds)

    def write(self, path: Path) -> None:
        """A GIF that begins anew at its end. All pictures have the same colours, so that only what changes is kept."""
        image = import_module("PIL.Image")
        every = image.new("RGB", (SIZE[0], SIZE[1] * len(self.shots[::STEPS])))
        for number, shot in enumerate(self.shots[::STEPS]):
            every.paste(shot, (0, SIZE[1] * number))
        palette = every.quantize(COLOURS)
        first, *others = [shot.quantize(palette=palette, dither=image.Dither.NONE) for shot in self.shots]
        first.save(path, save_all=True, append_images=others, duration=self.durations, loop=0, optimize=True)


def play(page: browser.Page, gateway: WebGateway) -> Film:
    """The scenes."""
    film = Film(page)
    film.words = "Each line is a request: who asked, who answered, how fast"
    asking = threading.Thread(target=lambda: list(morning(gateway.url)), daemon=True)
    asking.start()
    while asking.is_alive():
        time.sleep(0.4)
        film.shoot(0.35)
    film.shoot(2)
    line = page.line("claude-sonnet-5-5 → anthropic 429")
    film.click(line, "A click tells why: an account was at its limit, the next one answered", seconds=3)
    tabs = {tab.text: tab for tab in page.find_all(".gw-tab")}
    film.click(tabs["Changes"], "What was changed on its way: thinking of another provider is left out", seconds=3)
    film.click(tabs["Answer"], "The answer, put together from its stream", seconds=2.5)
    first, second = [line_of(page, flow) for flow in page.run(TWO_ANSWERS)]
    film.click(first, "Two models, one question …", seconds=0.5)
    film.click(second, "Two models, one question …", seconds=1, keys="ctrlKey: true")
    film.point(page.find(".gw-bar a"))
    page.driver.get(str(page.find(".gw-bar a").get_attribute("href")))
    film.words = "… side by side: answers, time, tokens, cost"
    film.shoot(2.5)
    page.run("scrollTo(0, document.body.scrollHeight)")
    film.shoot(3)
    page.driver.get(page.run("return location.origin + '/gateway/pool/'"))
    film.words = "Which accounts rest, and until when"
    film.shoot(3)
    return film


def line_of(page: browser.Page, flow: str) -> WebElement:
    """The line of a flow."""
    index: int = page.run(
        "return window.backend.store.getState().flows.view.findIndex(flow => flow.id === arguments[0])", flow
    )
    return page.find_all(".flow-table tbody tr:has(td)")[index]


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "demo.gif"
    with running(WebGateway) as gateway, browser.page(gateway.page_url, size=SIZE) as page:
        page.scheme("light")
        film = play(page, gateway)
    film.write(path)
    print(f"{path} {path.stat().st_size / 1000:.0f} KB, {len(film.shots)} pictures, {sum(film.durations) / 1000:.0f} s")


if __name__ == "__main__":
    main()
