"""How fast and how cheap the operator is, beside a script that makes the same children without any operator."""
