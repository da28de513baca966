"""The interface of a recorder, which keeps requests and answers as they go by (views/recording.py), where somebody can
look at them."""

from __future__ import annotations

from typing import Protocol

from mitmproxy import http

from addons.state.exchange import Exchange


class Recorder(Protocol):
    """Keeps what goes by of all requests of one client connection. It may keep it, and change nothing."""

    def begin(self, exchange: Exchange, request: http.Request) -> None:
        """A client's request has come, its body or at least its head."""

    def sent(self, exchange: Exchange, request: http.Request) -> None:
        """The running attempt's request goes out, credentials masked."""

    def received(self, exchange: Exchange, part: http.Response | bytes) -> None:
        """The head of the running attempt's answer has come, or a piece of its body, as the provider sent it."""

    def told(self, exchange: Exchange, part: http.Response | bytes) -> None:
        """The client is sent the head of a stream, or events of it."""

    def ended(self, exchange: Exchange, response: http.Response, *, streamed: bool) -> None:
        """The client's answer is whole. What the flow shows and saves of it may be replaced in `response`: the client
        gets what was there before."""


class NoRecorder:
    """Keeps nothing: in mitmdump nobody can look."""

    def begin(self, exchange: Exchange, request: http.Request) -> None:
        pass

    def sent(self, exchange: Exchange, request: http.Request) -> None:
        pass

    def received(self, exchange: Exchange, part: http.Response | bytes) -> None:
        pass

    def told(self, exchange: Exchange, part: http.Response | bytes) -> None:
        pass

    def ended(self, exchange: Exchange, response: http.Response, *, streamed: bool) -> None:
        pass


NO_RECORDER = NoRecorder()
