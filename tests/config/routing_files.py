"""A routing.yaml and a .env that change while something follows them."""

from __future__ import annotations

import os
from pathlib import Path


class RoutingFiles:
    """The two files, each change of which is seen as one however fast the test is."""

    def __init__(self, folder: Path, routing: str, env: str) -> None:
        self.routing, self.env = folder / "routing.yaml", folder / ".env"
        self.writes = 0
        self.write(routing)
        self.write(env, self.env)

    def write(self, text: str, path: Path | None = None) -> None:
        """Put this text into a file, by default into routing.yaml."""
        path = path or self.routing
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        self.writes += 1
        os.utime(path, ns=(self.writes, self.writes))
