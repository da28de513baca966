"""Which version of the gateway this is."""

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution


@cache
def own_version() -> str:
    """The version of the installed package; empty where none is installed."""
    try:
        described = distribution("claude-gateway").read_text("METADATA") or ""
    except PackageNotFoundError:
        return ""
    # `version()` reads all of that as a mail, README included: 3 ms of the first request to /health.
    return described.partition("\nVersion: ")[2].partition("\n")[0]
