"""A real Kubernetes on one bare Linux machine, for trying and testing the operator; see docs/local-cluster.md."""
