"""What a gateway imports, imported before it is forked."""

import gc

import mitmproxy.tools.dump
import mitmproxy.tools.main
import mitmproxy.tools.web  # noqa: F401

import addons.gateway  # noqa: F401
import tests.e2e.forked  # noqa: F401

gc.collect()
gc.freeze()
