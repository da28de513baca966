"""Scripted providers on loopback, for the end-to-end tests, the demo and the benchmarks.

Standard library only: the demo must run where nothing but the gateway itself is installed.
"""
