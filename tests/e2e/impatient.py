"""The parent of workers for tests: it looks at them ten times a second, and while there is a file `impatient` beside
routing.yaml it takes one for hanging that says nothing for a second and a half."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

from addons.process.workers import silence, supervisor

FILE = Path(os.environ["HOME"]) / "impatient"
silence.LOOKS = 600  # type: ignore[misc]


class Impatient(silence.Silence):
    """Looks into the file each time."""

    def look(self, workers: Iterable[int]) -> list[int]:
        silence.LOOKS = 15 if FILE.exists() else 600  # type: ignore[misc]
        return super().look(workers)


if __name__ == "__main__":
    with patch.object(supervisor, "Silence", Impatient):
        sys.exit(supervisor.main(sys.argv[1:]))
