"""The wire formats, sans-IO: bytes and plain values in, bytes and plain values out.

Rules that hold in every file here: nothing of mitmproxy is imported, there is no clock, no randomness, no file,
no socket and no state beyond the object in hand. What is not understood passes through as it came.
"""
