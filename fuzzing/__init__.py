"""Fuzzing: what reads bytes of strangers is fed with bytes that nobody would send. docs/fuzzing.md tells what and for how long."""
