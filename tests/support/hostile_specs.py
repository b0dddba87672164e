"""Specifications as nobody should write them: valid ones, changed at random places into something malformed or malicious."""

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

Value = Any
Path = tuple[str | int, ...]

PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
MODEL_SPECS: tuple[dict[str, Any], ...] = (
    {
        "model": {
            "uri": "https://models.example.com:8443/faq.tar",
            "format": "sklearn",
            "digest": "sha256:" + "0" * 64,
        },
        "hardwareClass": "cpu",
        "replicas": 1,
        "batching": {"maxSize": 8, "maxDelayMilliseconds": 5},
        "endpoint": {
            "type": "ClusterIP",
            "grpc": True,
            "annotations": {"example.com/team": "faq"},
            "host": "faq.example.com",
            "path": "/team/faq",
            "ingressClassName": "nginx",
            "ingressAnnotations": {"example.com/team": "faq"},
            "tls": {"secretName": "faq-tls", "issuer": {"name": "ca", "kind": "ClusterIssuer"}},
        },
        "network": {
            "ingress": [{"namespace": "web"}, {"cidr": "10.0.0.0/8"}],
            "egress": [{"podLabels": {"app": "database"}, "ports": [5432]}],
        },
        "runtime": {
            "image": "localhost/runtime:test",
            "imagePullPolicy": "IfNotPresent",
            "imagePullSecrets": [{"name": "registry-login"}, {"name": "other-login"}],
            "env": [{"name": "SCORING_LOG_LEVEL", "value": "debug"}, {"name": "TEAM", "value": "faq"}],
            "serviceAccountName": "faq",
            "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        },
    },
    {
        "model": {
            "uri": "s3://models/faq/",
            "credentials": {"secretName": "s3"},
            "endpoint": "https://minio.example.com:9000",
            "signature": {"publicKey": PUBLIC_KEY, "value": "MEUCIQ=="},
            "sizeLimit": "2Gi",
        },
        "autoscaling": {
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "cpu", "target": 70}, {"type": "memory", "target": 80}],
        },
        "endpoint": {
            "type": "LoadBalancer",
            "loadBalancerClass": "example.com/internal",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "externalTrafficPolicy": "Local",
            "apiKeys": {"secretName": "faq-keys"},
            "jwt": {
                "issuer": "https://login.example.com:8443/realms/shop",
                "audiences": ["faq"],
                "jwksUri": "https://login.example.com/keys",
                "requiredClaims": {"scope": ["score"]},
                "nameClaim": "azp",
                "caBundle": {"configMapName": "company-ca", "key": "ca.crt"},
            },
            "rateLimit": {
                "perKey": {"requestsPerSecond": 50, "burst": 100},
                "perClient": {"requestsPerSecond": 0.5},
            },
            "clients": {"maxRequests": 8, "maxConnections": 256, "trustedProxies": ["10.0.0.0/8"]},
            "maxBodyBytes": 1048576,
            "timeouts": {"headerSeconds": 75, "bodySeconds": 10},
            "host": "faq.example.com",
            "gateway": {
                "name": "public",
                "namespace": "infra",
                "sectionName": "https",
                "redirectSectionName": "http",
            },
        },
    },
)
CLASS_SPECS: tuple[dict[str, Any], ...] = (
    {
        "default": False,
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "accelerator": {"resource": "nvidia.com/gpu", "count": 1},
        "nodeSelector": {"pool": "gpu"},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["fake"]}]},
                        {"matchExpressions": [{"key": "generation", "operator": "Gt", "values": ["7"]}]},
                    ]
                }
            }
        },
        "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1}],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
        "runtimeClassName": "nvidia",
        "image": "localhost/runtime:gpu",
        "imagePullSecrets": [{"name": "registry-login"}],
        "threads": 2,
    },
    {"resources": {"limits": {"cpu": 2}}, "resourceClaim": {"deviceClassName": "gpu.example.com", "count": 1}},
)


def nest(depth: int) -> Value:
    """Return an object inside an object, so many deep."""
    nested: Value = "the end"
    for _ in range(depth):
        nested = {"deeper": nested}
    return nested


HOSTILE: tuple[Value, ...] = (
    None, True, 0, -1, 1.5, 2**31, 2**63 - 1, -(2**63), 1e308,
    "", " ", "-1", "1e999", "0x10", "NaN", "true", "null", "\x00\x1b[31m", "line\nline\n", "\u202eltr\u200b", "模型-ß-🦊", "é" * 300,
    "x" * 5_000, "9" * 400, "../" * 40, "https://[::1/x", "https://host:port/x", "https://host:99999/x.tar", "https://\x00/x", "pvc://../..",
    "self.matches('^(a+)+$')", "has(self.spec) || true", "{{ .Values.secret }}", "$(SCORING_MODEL_URI)", "'; DROP TABLE models; --",
    "!!python/object/apply:os.system [id]", "1.2.3.4/99", "sha256:" + "g" * 64,
    [], {}, [[[[[[]]]]]], ["x"] * 100, [None, 1, "two", {}], {"": ""}, {"x" * 4_000: "y"}, {f"key-{number}": number for number in range(100)}, nest(60),
)  # fmt: skip
NAMES = ("", "unknown", "Replicas", "apiVersion", "__class__", "$ref", "a.b/c d", "ключ", "x" * 5_000)
EDITS = ("replace", "replace", "replace", "remove", "add", "rename", "repeat")


def build_hostile(random: Random, specs: tuple[dict[str, Any], ...]) -> Value:
    """Return one of the specs with up to three places made hostile; once in a while nothing of it is left."""
    spec = {"spec": copy.deepcopy(random.choice(specs))}
    for _ in range(random.randint(1, 3)):
        edit_somewhere(random, spec)
    return spec["spec"]


def edit_somewhere(random: Random, root: dict[str, Any]) -> None:
    """Change one place of `root["spec"]`."""
    path = random.choice(list(list_paths(root)))
    parent = root
    for part in path[:-1]:
        parent = parent[part]  # type: ignore[index]  # a path leads through dictionaries and lists
    last = path[-1]
    edit = random.choice(EDITS) if len(path) > 1 or random.random() < 0.05 else "add"
    value = copy.deepcopy(random.choice(HOSTILE))
    edit_place(parent, last, edit, value, random.choice(NAMES))


def edit_place(parent: Any, part: str | int, edit: str, value: Value, name: str) -> None:
    """Change one member of a dictionary or list: another value or name, one more, one less, or the same again."""
    member = parent[part]
    if edit == "remove" and part != "spec":
        del parent[part]
    elif edit == "add" and isinstance(member, dict):
        member[name] = value
    elif edit == "rename" and isinstance(parent, dict) and part != "spec":
        parent[name] = parent.pop(part)
    elif edit == "repeat" and isinstance(member, list):
        parent[part] = [*member, *copy.deepcopy(member)]
    else:
        parent[part] = value


def list_paths(value: Value, path: Path = ()) -> Iterator[Path]:
    """Yield the path of each member of a value, however deep."""
    members: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    for part, member in members:
        yield (*path, part)
        yield from list_paths(member, (*path, part))
