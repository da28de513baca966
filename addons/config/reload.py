"""Reload: the gateway's mitmproxy options, and the watch over routing.yaml and .env."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from mitmproxy import connection, ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.log import ALERT

from addons.config.config import Config, ConfigError, Route
from addons.config.presets import hints
from addons.config.settings import HOME, Settings

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the two files are looked at: two stat calls."""


class Reload:
    """Loads the configuration, and follows it. An invalid file is reported and the last good one stays."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.watching: asyncio.Task[None] | None = None
        self.is_running = self.is_loaded = False

    def load(self, loader: Loader) -> None:
        loader.add_option("gateway_routing", str, str(HOME / "routing.yaml"), "Path of routing.yaml.")
        loader.add_option("gateway_env", str, str(HOME / ".env"), "Path of the .env file; it may be missing.")

        loader.add_command("gateway.routes", self.show)

    def show(self) -> str:
        """The rules, and what clients may ask for: where it goes, what it falls back to, and what is off."""
        return shown(self.settings.current)

    def configure(self, updated: set[str]) -> None:
        if not updated & {"gateway_routing", "gateway_env"}:
            return
        self.settings.routing_path = Path(ctx.options.gateway_routing).expanduser()
        self.settings.env_path = Path(ctx.options.gateway_env).expanduser()
        try:
            self.settings.load()
            self.is_loaded = True
        except ConfigError as error:
            if self.is_running:
                raise exceptions.OptionsError(str(error)) from None
            logger.error("%s", error)  # mitmproxy ends when an error is logged at start

    def client_connected(self, client: connection.Client) -> None:
        if not self.is_loaded:  # and mitmproxy did not end: it was running before this script was
            client.error = "there is no configuration"

    def running(self) -> None:
        self.is_running = True
        for warning in self.settings.current.warnings:
            if warning not in self.settings.current.off:  # those the welcome says, in one line
                logger.log(ALERT, "%s", warning)
        for hint in hints(self.settings.current.providers.values()):
            logger.log(ALERT, "%s", hint)
        self.watching = asyncio.get_running_loop().create_task(self.watch())

    def done(self) -> None:
        if self.watching:
            self.watching.cancel()

    async def watch(self) -> None:
        """Look at the files, for as long as the gateway runs."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                if self.settings.poll():
                    logger.log(ALERT, "configuration reloaded")
                    for warning in self.settings.current.warnings:
                        logger.log(ALERT, "%s", warning)
            except ConfigError as error:
                logger.error("%s (the last good configuration stays)", error)


def shown(config: Config) -> str:
    """Rules and models, a line each."""
    rules = [f"{rule} → {rule.to}" for rule in config.rules]
    return "\n".join([*rules, *(route_line(config, route) for route in config.models)])


def route_line(config: Config, route: Route) -> str:
    """`claude-* → anthropic/claude-*, then zai/glm-5` or `glm → zai/glm-5 (off: ZAI_API_KEY is not set)`"""
    fallbacks = [f"{t.provider.name}/{t.model}" for t in config.targets(route.alias) if t.fallback]
    then = f", then {', '.join(fallbacks)}" if fallbacks else ""
    off = f" (off: {route.provider.missing} is not set)" if route.provider.missing else ""
    return f"{route.alias} → {route.provider.name}/{route.model}{then}{off}"
