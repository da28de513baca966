"""The TLS of a provider's connection: mitmproxy's, and its end also where it ends with an error.

mitmproxy logs an error of TLS (a fatal alert, a record that can't be read) and goes on as if there were more to come;
of a connection that is closed behind an alert it tells nobody. So a running answer would wait for its time limit, and
the next request on that connection would end the client's with an exception.
"""

from __future__ import annotations

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.tls import ServerTLSLayer

from addons.proxy.hooks import Commands


class ProviderTls(ServerTLSLayer):
    """The TLS of one connection to a provider, or to the proxy on the way to it."""

    @property
    def has_failed(self) -> bool:
        """Whether nothing more can be read or written: OpenSSL says so after every fatal error."""
        return self.tls.get_state_string() == b"error"

    def receive_data(self, data: bytes) -> Commands:
        yield from super().receive_data(data)
        if self.has_failed:
            yield from self._handle_command(commands.CloseConnection(self.conn))

    def receive_close(self) -> Commands:
        if self.has_failed:
            yield from self.event_to_child(events.ConnectionClosed(self.conn))
        else:
            yield from super().receive_close()

    def send_data(self, data: bytes) -> Commands:
        if not self.has_failed:  # else its end is told in a moment
            yield from super().send_data(data)
