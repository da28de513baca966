"""Makes addons/state/prices.json from the package genai-prices, which is installed with the tests.

    python -m tests.prices [--check]

`--check` only says whether the file is what the installed version gives (exit code 1: it isn't).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from genai_prices import types
from genai_prices.data import providers

FILE: Final = Path(__file__).resolve().parents[1] / "addons" / "state" / "prices.json"

SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "anthropic": ("api.anthropic.com",),
    "aws": ("amazonaws.com", "api.aws"),
    "azure": ("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com", "azure-api.net"),
    "cerebras": ("api.cerebras.ai",),
    "deepseek": ("api.deepseek.com",),
    "fireworks": ("api.fireworks.ai",),
    "github-copilot": ("api.githubcopilot.com",),
    "google": ("googleapis.com",),
    "groq": ("api.groq.com",),
    "minimax": ("api.minimax.io", "api.minimaxi.com"),
    "mistral": ("api.mistral.ai",),
    "moonshotai": ("api.moonshot.ai", "api.moonshot.cn"),
    "novita": ("api.novita.ai",),
    "openai": ("api.openai.com",),
    "openrouter": ("openrouter.ai",),
    "together": ("api.together.xyz", "api.together.ai"),
    "x-ai": ("api.x.ai",),
    "zai": ("api.z.ai",),
    "zhipuai": ("open.bigmodel.cn",),
}
"""The services, as genai-prices names them, and their hosts."""

KINDS: Final = (
    "input_mtok",
    "output_mtok",
    "cache_read_mtok",
    "cache_write_mtok",
    "cache_write_1h_mtok",
    "web_searches_kcount",
)
"""The prices of `Rates`, in its order. Sounds and pictures are nothing that is counted here."""


def main() -> int:
    """Write the file, or compare it."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--check", action="store_true", help="only compare")
    if options.parse_args().check:
        written = json.loads(FILE.read_text())
        same = {**made(""), "version": ""} == {**written, "version": ""} and package() in written["version"]
        print(
            "it is up to date" if same else "another version of genai-prices gives other prices: python -m tests.prices"
        )
        return int(not same)
    FILE.write_text(text(made(datetime.now(UTC).date().isoformat())))
    print(f"{FILE.stat().st_size:,} bytes")
    return 0


def package() -> str:
    """The package, with its version."""
    return f"genai-prices {version('genai-prices')}"


def made(day: str) -> dict[str, Any]:
    """The file, as `addons/wire/prices.py` reads it."""
    known = {provider.id: provider for provider in providers}
    return {
        "version": f"{package()} ({day})",
        "license": "prices: genai-prices, MIT License, Copyright (c) Pydantic Services Inc.",
        "hosts": {host: name for name, hosts in SERVICES.items() for host in hosts},
        "services": {name: service(known[name]) for name in SERVICES},
    }


def text(file: dict[str, Any]) -> str:
    """The file with a line for each model, so that a change of prices can be read."""
    lines = ["{", *(f"{json.dumps(key)}: {json.dumps(file[key])}," for key in ("version", "license", "hosts"))]
    lines.append('"services": {')
    for name, one in file["services"].items():
        others = f'"others": {json.dumps(one["others"])}, ' if "others" in one else ""
        models = ",\n".join(json.dumps(model, separators=(",", ":")) for model in one["models"])
        lines.append(f'{json.dumps(name)}: {{{others}"models": [\n{models}\n]}},')
    lines[-1] = lines[-1].rstrip(",")
    return "\n".join([*lines, "}}", ""])


def service(provider: types.Provider) -> dict[str, Any]:
    """A service, its models in the order in which they are looked at."""
    models = list(filter(None, map(model, provider.models)))
    others = [name for name in provider.fallback_model_providers or () if name in SERVICES]
    return {"models": models, **({"others": others} if others else {})}


def model(info: types.ModelInfo) -> dict[str, Any]:
    """A model. Those that have no price for text are there too: they must not be taken for others."""
    prices = info.prices if isinstance(info.prices, list) else [types.ConditionalPrice(prices=info.prices)]
    fast = [
        variant.prices
        for variant in info.price_variants or ()
        if variant.when == {"speed": "fast"} and variant.constraint is None
    ]
    return {
        "match": match(info.match),
        "prices": [conditional(price) for price in prices],
        **({"fast": rates(fast[0])} if fast else {}),
    }


def conditional(price: types.ConditionalPrice) -> dict[str, Any]:
    """Prices, and when they hold."""
    match price.constraint:
        case None:
            when: dict[str, Any] = {}
        case types.StartDateConstraint(start_date=day):
            when = {"day": day.isoformat()}
        case types.TimeOfDateConstraint(start_time=start, end_time=end):
            when = {"hours": [moment.strftime("%H:%M") for moment in (start, end)]}
    return {"rates": rates(price.prices), **when}


def rates(prices: types.ModelPrice) -> list[Any]:
    """The prices of a model, without the last of those that it hasn't."""
    found = [number(getattr(prices, kind)) for kind in KINDS]
    while found and found[-1] is None:
        found.pop()
    return found


def number(price: Any) -> Any:
    """One price: a number, or a list of steps."""
    if price is None:
        return None
    if isinstance(price, types.TieredPrices):
        steps = [value for tier in price.tiers for value in (tier.start, plain(tier.price))]
        return [plain(price.base), *steps]
    return plain(price)


def plain(price: Any) -> float:
    value = float(price)
    return int(value) if value.is_integer() else value


def match(clause: Any) -> list[Any]:
    """How names are matched."""
    match clause:
        case types.ClauseEquals(equals=what):
            return ["=", what.lower()]
        case types.ClauseStartsWith(starts_with=what):
            return ["^", what.lower()]
        case types.ClauseEndsWith(ends_with=what):
            return ["$", what.lower()]
        case types.ClauseContains(contains=what):
            return ["~", what.lower()]
        case types.ClauseRegex(regex=what):
            return ["/", what]
        case types.ClauseOr(or_=parts):
            return ["|", [match(part) for part in parts]]
        case types.ClauseAnd(and_=parts):
            return ["&", [match(part) for part in parts]]
    raise AssertionError(f"genai-prices matches names in another way now: {clause}")


def every_name(clause: Any) -> Iterator[str]:
    """Names that a clause means, for tests."""
    match clause:
        case (
            types.ClauseEquals(equals=what)
            | types.ClauseStartsWith(starts_with=what)
            | types.ClauseContains(contains=what)
        ):
            yield what
        case types.ClauseEndsWith(ends_with=what):
            yield f"x{what}"
        case types.ClauseOr(or_=parts):
            for part in parts:
                yield from every_name(part)


if __name__ == "__main__":
    sys.exit(main())
