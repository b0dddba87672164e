"""Benchmarks: how fast the serving runtime is beside its peers. README.md says how to run them."""
