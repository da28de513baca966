"""How many cores this process may use: those of the machine, less what a container's limit leaves of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def cores(quota: Path = QUOTA) -> int:
    """At least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, _, period = quota.read_text().strip().partition(" ")
        allowed = min(allowed, -(-int(share) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):  # none is set ("max"), or it isn't Linux
        pass
    return max(1, allowed)
