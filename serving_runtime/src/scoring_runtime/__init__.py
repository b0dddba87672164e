"""The serving runtime: fetches, verifies, loads and serves one model over HTTP (docs/runtime-contract.md)."""
