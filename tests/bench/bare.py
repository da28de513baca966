"""What the gateway is compared with: the least that a gateway made of mitmproxy does, with the standard library."""

import json
import os

from mitmproxy import http


class Bare:
    """Check a token, drop thinking, replace the model and a header, stream the answer."""

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.request.headers.get("x-litellm-api-key") != "bench-static-token":
            flow.response = http.Response.make(401)
        elif flow.request.method == "POST":
            body = json.loads(flow.request.content or b"")
            for message in body["messages"]:
                if isinstance(message["content"], list):
                    message["content"] = [block for block in message["content"] if block["type"] != "thinking"]
            if body["model"] == "glm-tls":
                flow.request.scheme, flow.request.port = "https", int(os.environ["BENCH_TLS"])
            body["model"] = body["model"].replace("glm", "glm-5")
            flow.request.headers["authorization"] = "Bearer bench-zai-key"
            flow.request.content = json.dumps(body).encode()

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response
        flow.response.stream = True


addons = [Bare()]
