"""`scoring keys`: the runtime's own command that makes and lists API keys."""

from scoring_runtime.keys_command import keys as command

__all__ = ["command"]
