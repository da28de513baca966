"""What a person sees of a flow in mitmweb and mitmproxy: the content views Trail, Conversation, Answer, Changes and
Attempts.

Each view is a pure function from the state of an exchange to text (`trail.render(exchange)` …); `content_views.py`
makes mitmproxy's content views of them. Rules that hold in this folder: nothing here changes an exchange or a flow,
nothing raises on what a client or a provider sent, and everything shown is freed of secrets (`bodies.presentable`).

The beginning of a line says what it is, and mitmweb's page colours it by that (mitmweb/detail.js); for mitmproxy's own
highlighting the texts are `none`. In every view `── ` begins a section, and `… ` (indented or not) stands for what is
not shown. In Changes the first character counts: `-` was there, `+` came in its place, `~` is an event that another one
became, a space stayed. In Trail, `✓ ` is an attempt that answered, `✗ ` one that failed and what the client was told of
it, `… ` and a number one that runs; `failed` and `verdict` begin the same in full. No mark needs a font with emoji.
"""
