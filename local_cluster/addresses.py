"""The addresses of a cluster. All of them exist on this machine only."""

LOOPBACK = "127.0.0.1"
SERVICE_RANGE = "10.96.0.0/16"
"""ClusterIPs: 65,534 of them, so that benchmarks with thousands of models have one each."""
API_SERVICE_ADDRESS = "10.96.0.1"
"""The Service `kubernetes`: the first address of the range, at which pods reach the API server."""

BRIDGE_DEVICE = "scoring0"
POD_RANGE = "10.246.0.0/24"
BRIDGE_ADDRESS = "10.246.0.1"
"""The host as pods see it, and the gateway of the pods."""
FIRST_POD_ADDRESS = "10.246.0.10"
LAST_POD_ADDRESS = "10.246.0.250"

KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 10248
KUBE_PROXY_METRICS_PORT = 10249
KUBE_PROXY_HEALTH_PORT = 10256
