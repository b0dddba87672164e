"""The serving runtime beside its peers on the same work, in one run each. See benchmarks/README.md."""
