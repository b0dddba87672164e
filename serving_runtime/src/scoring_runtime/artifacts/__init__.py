"""Artifacts: from the URI of a model to a verified folder. `retrieval` is where to begin; `sources` are the ways to get at bytes."""
