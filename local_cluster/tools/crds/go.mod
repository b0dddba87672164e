// Modules of which only the custom resource definitions are read: nothing is built here, and `go mod tidy` would empty it.
module scoring.dev/local-cluster/crds

go 1.26.8

require (
	github.com/fluxcd/source-controller v1.8.5
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.6.3
)
