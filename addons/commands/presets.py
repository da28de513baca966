"""`./run.sh presets [NAME]`: the services that `preset:` knows, and all that is known of one.

Exit codes: 0 fine, 1 there is none of that name, 2 wrong use.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from addons.config.presets import described, texts
from addons.config.yaml_reader import suggestion


def listing() -> str:
    """One line for each service."""
    names = texts()
    width = max(map(len, names))
    return "\n".join(f"{name:<{width}}  {described(name)['title'].text()}" for name in names)


def as_json(name: str) -> dict[str, object]:
    """All keys of one entry."""
    return {key: entry.value() for key, entry in described(name).items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `./run.sh presets` with these arguments; returns the exit code."""
    parser = argparse.ArgumentParser(prog="./run.sh presets", description="Known services, for `preset: NAME`.")
    parser.add_argument("name", nargs="?", help="print all that is known of this one")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    asked = parser.parse_args(arguments)
    names = texts()
    if asked.name and asked.name not in names:
        print(f"there is no preset {asked.name}{suggestion(asked.name, names)}", file=sys.stderr)
        return 1
    if asked.json:
        found = {name: as_json(name) for name in ([asked.name] if asked.name else names)}
        print(json.dumps(found[asked.name] if asked.name else found, indent=2))
    else:
        print(names[asked.name].rstrip() if asked.name else listing())
    return 0


if __name__ == "__main__":
    sys.exit(main())
