"""What a gateway imports, imported before it is forked: at its start, or when a request first needs it."""

import gc

import mitmproxy.tools.dump
import mitmproxy.tools.main
import mitmproxy.tools.web  # noqa: F401

import addons.gateway
import addons.process.hub_link
import addons.process.web_handlers
import addons.views.attempts
import addons.views.changes
import addons.views.conversation
import addons.wire.chat.answer
import addons.wire.chat.request
import addons.wire.search.answer  # noqa: F401
import tests.e2e.forked  # noqa: F401

gc.collect()
gc.freeze()
