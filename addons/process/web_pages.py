"""WebPages: pages of the gateway's on mitmweb's own port: the pool with what runs, and two requests side by side.

Who may see them is decided by mitmweb, as for all its handlers; whoever is let in there sees whole conversations, so
everything is shown. They look as `/gateway/` does, and are made of its parts. mitmdump and mitmproxy have none of this.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mitmproxy import ctx

from addons.process.page import Page
from addons.proxy.connections import own_address
from addons.state.account_commands import AccountCommands
from addons.team.page_report import Asked, Viewer
from addons.team.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mitmproxy import flow


class WebPages:
    """Adds the pages to mitmweb, before its own."""

    def __init__(self, page: Page, accounts: AccountCommands) -> None:
        """`page`: knows what is going on."""
        self.page, self.accounts = page, accounts

    def running(self) -> None:
        if app := getattr(ctx.master, "app", None):
            from addons.process.web_handlers import handlers  # mitmdump needs none of what it imports

            app.add_handlers(".*", handlers(self))

    async def report(self) -> Report:
        """What is going on now, and in the last day."""
        reporter = self.page.reporter(self.page.settings.current, Asked(), Viewer("", sees_all=True))
        return await asyncio.get_running_loop().run_in_executor(self.page.thread, reporter)

    def end_cooldown(self, account: str) -> None:
        """Let an account, or `all`, be used again. Raises ControlError when there is none of that name."""
        self.accounts.resume(account)

    def models(self) -> list[str]:
        """The models that a request can be sent to, by the names that a client asks with."""
        config = self.page.settings.current
        return [route.alias for route in config.aliases() if not route.provider.missing]

    def flows(self, ids: Sequence[str]) -> list[flow.Flow]:
        """Those of these flows that are still listed."""
        view = ctx.master.addons.get("view")
        return [found for one in ids if (found := view.get_by_id(one))]

    def usage(self) -> str:
        """The address of `/gateway/`."""
        host, port = own_address()
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/gateway/"
