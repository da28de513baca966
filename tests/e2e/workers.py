"""The workers of a gateway with several, as Linux knows them."""

from pathlib import Path

from tests.e2e.gateway import Gateway


def processes(gateway: Gateway) -> set[int]:
    """Their numbers."""
    return {int(pid) for pid in Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()}
