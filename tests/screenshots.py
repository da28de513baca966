"""Takes the pictures in README: mitmweb with the demo's requests, its pages, and the page of the demo's team, in a real
browser.

python -m tests.screenshots [DIR]          (tests/screenshots)
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path

from tests import browser
from tests.e2e.gateway import Gateway
from tests.e2e.mitmweb import WebGateway
from tests.fakes import demo
from tests.fakes.demo_traffic import morning
from tests.fakes.history import key, seed
from tests.fakes.launch import ROOT

TEAM_PICTURES = (
    ("page", "", (1280, 1010), "light"),
    ("page-dark", "?by=model", (1280, 650), "dark"),
    ("page-phone", "", (400, 900), "light"),
)
FOLDER = ROOT / "tests" / "screenshots"


@contextmanager
def running[G: Gateway](kind: type[G]) -> Iterator[G]:
    """The demo's gateway, with a month of its team."""
    with ExitStack() as stack:
        urls = {name: stack.enter_context(provider).url for name, provider in demo.providers().items()}
        env = dict(line.split("=", 1) for line in demo.ENV.splitlines())
        gateway = kind(demo.ROUTING.format(**urls), env, upstream=urls["anthropic"])
        seed(gateway.directory / "gateway.sqlite")
        stack.enter_context(gateway)
        yield gateway


def take(folder: Path) -> list[Path]:
    """All pictures, into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with running(WebGateway) as gateway:
        for _ in morning(gateway.url, streams=False):
            pass
        with browser.page(gateway.page_url, size=(1280, 590)) as page:
            taken = pictures(page, folder)
    return [*taken, *team_pictures(folder)]


def team_pictures(folder: Path) -> list[Path]:
    """The page `/gateway/` of the demo's team: light, dark by model, and on a phone."""
    taken = []
    with running(Gateway) as gateway, browser.page(f"{gateway.url}/gateway/") as page:
        gateway.post("claude-sonnet-5-5", stream=True)
        with gateway.stream("slow", headers={"x-api-key": key("alice")}):
            for name, query, size, scheme in TEAM_PICTURES:
                page.scheme(scheme)
                page.resize(*size)
                page.driver.get(f"{gateway.url}/gateway/{query}")
                taken.append(folder / f"{name}.png")
                page.screenshot(taken[-1])
                shrink(taken[-1])
    return taken


def pictures(page: browser.Page, folder: Path) -> list[Path]:
    """The list, views of a request whose first account was at its limit, two answers side by side, and the pool."""
    taken = []

    def keep(name: str) -> None:
        taken.append(folder / f"{name}.png")
        page.screenshot(taken[-1])
        shrink(taken[-1])

    settled(page)
    keep("list")
    page.resize(1280, 880)
    page.open("claude-sonnet-5-5 → anthropic 429")
    for view, scheme in (("Trail", "light"), ("Changes", "dark")):
        page.scheme(scheme)
        page.view(view)
        keep(view.lower())
    page.scheme("light")
    top = page.run("return location.origin")
    page.resize(1280, 1000)
    page.driver.get(f"{top}/gateway/compare?flows={','.join(page.run(TWO_ANSWERS))}")
    keep("compare")
    page.resize(1280, 760)
    page.driver.get(f"{top}/gateway/pool/")
    keep("pool")
    return taken


TWO_ANSWERS = """
const asked = (model) => window.backend.store.getState().flows.list.filter((flow) => flow.gateway?.asked === model);
return [asked("glm").filter((flow) => flow.gateway.who === "carol")[0].id, asked("kimi")[0].id];
"""


def settled(page: browser.Page) -> None:
    """Until the list is there, and mitmweb has stopped saying that it is connected."""
    page.scheme("light")
    page.wait(lambda: len(page.rows()) >= 12, "the flows")
    seen = "return getComputedStyle(document.querySelector('.connection-indicator')).opacity"
    page.wait(lambda: float(page.run(seen)) < 0.01, "the page as it stays")


def shrink(path: Path) -> None:
    """Half the bytes, where Pillow is installed (it comes with matplotlib, for the benchmark's plots)."""
    with suppress(ImportError):
        pillow = import_module("PIL.Image")
        pillow.open(path).quantize(255).save(path, optimize=True)


def main() -> None:
    for path in take(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(f"{path} {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
