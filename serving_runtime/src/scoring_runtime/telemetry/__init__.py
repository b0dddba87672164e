"""What the runtime tells of itself: logs, the request log, metrics and traces. Filled by the protocols, started by worker.py."""
