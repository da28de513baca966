"""Nearly all that is known of mitmproxy's and h11's insides: layer, stream, HTTP/1, hooks; and request heads."""
