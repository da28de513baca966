"""What a person sees of a flow in mitmweb and mitmproxy: the content views Trail, Changes, Conversation and Answer.

Each view is a pure function from the state of an exchange to text (`trail.render(exchange)` …); `view.py` makes
mitmproxy's content views of them. Rules that hold in this folder: nothing here changes an exchange or a flow, nothing
raises on what a client or a provider sent, and everything shown is freed of secrets (`kept.presentable`).
"""
