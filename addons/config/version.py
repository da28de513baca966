"""Which version of the gateway this is."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def own_version() -> str:
    """The version of the installed package; empty where none is installed."""
    try:
        return version("claude-gateway")
    except PackageNotFoundError:
        return ""
