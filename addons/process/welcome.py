"""Welcome: says where the gateway is to be found, once it really is there."""

from __future__ import annotations

import logging

from mitmproxy import ctx
from mitmproxy.log import ALERT

from addons.proxy.connections import EVERYWHERE

logger = logging.getLogger(__name__)


class Welcome:
    """Says it as alerts, which are seen where mitmproxy's own lines are not."""

    def running(self) -> None:
        ports = {}
        for host, port, *_ in ctx.master.addons.get("proxyserver").listen_addrs():
            ports[place(host, port)] = True
        if ports:
            logger.log(ALERT, "gateway: listening on %s", " and ".join(ports))
        if url := getattr(ctx.master, "web_url", ""):
            logger.log(ALERT, "gateway: what it does can be seen on %s", url)


def place(host: str, port: int) -> str:
    """`http://127.0.0.1:4000`, or `port 4000 of every address`."""
    if host in EVERYWHERE:
        return f"port {port} of every address"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
