"""Golden manifests; `pytest tests/unit/operator --update-golden` rewrites them. The hash in them shows that a change rewrites every child."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.kinds import AUTOSCALER, DEPLOYMENT, DISRUPTION_BUDGET, NETWORK_POLICY, SERVICE, SERVICE_ACCOUNT
from scoring_operator.render import render_children
from scoring_operator.settings import Settings

GOLDEN = Path(__file__).parent / "golden"
DIGEST = "sha256:" + "ab" * 32
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "minimal-cpu-pvc": ({"model": {"uri": "pvc://models/faq/faq.tar"}}, {}),
    "gpu-class": (
        {"model": {"uri": "https://models.example.com/resnet152.tar", "digest": DIGEST, "format": "torch"}},
        {
            "name": "gpu",
            "resources": {"requests": {"cpu": 2, "memory": "8Gi"}, "limits": {"cpu": 4, "memory": "8Gi"}},
            "accelerator": {"resource": "nvidia.com/gpu", "count": 1},
            "nodeSelector": {"pool": "gpu"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "runtimeClassName": "nvidia",
            "priorityClassName": "serving",
            "image": "registry.example.com/scoring-runtime:torch-cuda",
            "threads": 2,
        },
    ),
    "batched-with-grpc": (
        {
            "model": {"uri": "pvc://models/tabular/tabular.tar", "format": "sklearn"},
            "batching": {"maxSize": 16, "maxDelayMilliseconds": 5},
            "endpoint": {"grpc": True},
        },
        {},
    ),
    "behind-a-front-door": (
        {
            "model": {"uri": "file:///m", "format": "sklearn"},
            "endpoint": {
                "apiKeys": {"secretName": "faq-keys"},
                "jwt": {
                    "issuer": "https://login.example.com/realms/shop",
                    "audiences": ["faq"],
                    "jwksUri": "https://login.example.com:8443/keys",
                    "requiredClaims": {"scope": ["score", "admin"]},
                    "nameClaim": "azp",
                    "caBundle": {"configMapName": "company-ca"},
                },
                "rateLimit": {
                    "perKey": {"requestsPerSecond": 50, "burst": 100},
                    "perClient": {"requestsPerSecond": 0.5},
                },
                "clients": {"maxRequests": 8, "maxConnections": 256, "trustedProxies": ["10.0.0.0/8"]},
                "maxBodyBytes": 1048576,
                "timeouts": {"headerSeconds": 75, "bodySeconds": 10},
            },
            "network": {},
        },
        {},
    ),
    "autoscaled": ({"autoscaling": {"minReplicas": 2, "maxReplicas": 35}, "replicas": 7}, {}),
    "scaled-by-metrics-apis": (
        {
            "autoscaling": {
                "maxReplicas": 9,
                "metrics": [
                    {"type": "memory", "target": 80},
                    {"type": "pods", "name": "scoring_requests_in_flight", "target": 4},
                    {"type": "external", "name": "queue_depth", "selector": {"queue": "faq"}, "target": "1500m"},
                ],
                "behavior": {
                    "scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}], "tolerance": "50m"},
                    "scaleDown": {"stabilizationWindowSeconds": 60, "selectPolicy": "Min"},
                },
            }
        },
        {},
    ),
    "scaled-by-keda": (
        {
            "autoscaling": {
                "minReplicas": 0,
                "maxReplicas": 9,
                "metrics": [
                    {"type": "cpu", "target": 70},
                    {"type": "requestsInFlight", "target": 4},
                    {"type": "queueWaitMilliseconds", "target": 50},
                    {"type": "prometheus", "query": "sum(orders)", "serverAddress": "http://other:9090", "target": 10},
                    {
                        "type": "keda",
                        "trigger": {
                            "type": "kafka",
                            "metadata": {"topic": "questions", "lagThreshold": "5"},
                            "authenticationRef": {"name": "kafka"},
                        },
                    },
                ],
                "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},
                "keda": {"pollingInterval": 5, "cooldownPeriod": 60},
            }
        },
        {},
    ),
    "claimed-devices-on-chosen-nodes": (
        {"model": {"uri": "file:///m", "format": "torch"}},
        {
            "name": "dra",
            "resourceClaim": {
                "deviceClassName": "gpu.example.com",
                "count": 2,
                "selectors": ["device.attributes['gpu.example.com'].memory.compareTo(quantity('40Gi')) >= 0"],
            },
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]
                    }
                }
            },
            "topologySpread": [{"topologyKey": "rack", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}],
        },
    ),
    "behind-a-network-policy": (
        {
            "model": {"uri": "https://models.example.com:8443/faq.tar", "digest": DIGEST, "format": "sklearn"},
            "endpoint": {
                "type": "LoadBalancer",
                "annotations": {"example.com/load-balancer-scheme": "internal"},
                "loadBalancerClass": "example.com/internal",
                "loadBalancerSourceRanges": ["10.0.0.0/8"],
                "externalTrafficPolicy": "Local",
            },
            "network": {
                "ingress": [{"namespace": "web", "podLabels": {"app": "shop"}}, {"cidr": "192.0.2.0/24"}],
                "egress": [{"namespaceLabels": {"team": "data"}, "ports": [5432]}, {"podLabels": {"app": "cache"}}],
            },
            "runtime": {"serviceAccountName": "scoring"},
        },
        {},
    ),
    "reaching-services-of-the-cluster": (
        {
            "model": {
                "uri": "s3://models/faq.tar",
                "format": "sklearn",
                "endpoint": "https://minio.storage.svc:9000",
                "credentials": {"secretName": "s3"},
            },
            "endpoint": {"jwt": {"issuer": "https://kubernetes.default.svc.cluster.local", "audiences": ["faq"]}},
            "network": {},
        },
        {},
    ),
    "fetched-from-a-store": (
        {
            "model": {
                "uri": "s3://models/faq/3/",
                "digest": DIGEST,
                "format": "sklearn",
                "endpoint": "https://minio.example.com:9000",
                "credentials": {"secretName": "s3"},
                "signature": {"publicKey": PUBLIC_KEY, "uri": "s3://models/signatures/faq-3.sig"},
                "sizeLimit": "20Gi",
            },
            "network": {},
            "runtime": {"env": [{"name": "SCORING_LOG_LEVEL", "value": "debug"}]},
        },
        {"accelerator": {}},
    ),
    "fetched-by-the-pods-identity": (
        {
            "model": {
                "uri": "abfs://models@account.dfs.core.windows.net/faq.tar",
                "format": "sklearn",
                "signature": {"publicKey": PUBLIC_KEY, "value": "MEUCIQ=="},
            },
            "network": {},
            "runtime": {"serviceAccount": {"annotations": {"azure.workload.identity/client-id": "1"}}},
        },
        {},
    ),
    "behind-an-ingress": (
        {
            "endpoint": {
                "host": "faq.example.com",
                "path": "/team/faq",
                "ingressClassName": "traefik",
                "ingressAnnotations": {"traefik.ingress.kubernetes.io/router.middlewares": "infra-https@kubernetescrd"},
                "tls": {"issuer": {"name": "letsencrypt", "kind": "ClusterIssuer"}},
            }
        },
        {},
    ),
    "behind-a-gateway": (
        {
            "endpoint": {
                "host": "faq.example.com",
                "gateway": {
                    "name": "public",
                    "namespace": "infra",
                    "sectionName": "https",
                    "redirectSectionName": "http",
                },
            }
        },
        {},
    ),
    "file-with-overrides": (
        {
            "model": {"uri": "file:///models/faq", "format": "sklearn"},
            "replicas": 3,
            "endpoint": {"type": "LoadBalancer"},
            "runtime": {
                "serviceAccount": {"annotations": {"example.com/role": "reader"}},
                "image": "registry.example.com/team/runtime:7",
                "imagePullPolicy": "Always",
                "imagePullSecrets": [{"name": "team-registry"}, {"name": "platform-registry"}],
                "env": [{"name": "SCORING_MAX_QUEUE", "value": "16"}, {"name": "EMPTY"}],
                "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "3500m"}},
            },
        },
        {"imagePullSecrets": [{"name": "platform-registry"}, {"name": "class-registry"}]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_children_equal_the_golden_file(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    is_updating_golden: bool,
    name: str,
) -> None:
    spec, hardware = CASES[name]
    children = render_children(build_model(**spec), build_class(**hardware), settings)
    rendered = yaml.safe_dump_all([body for body in children.values() if body is not None], sort_keys=False)
    path = GOLDEN / f"{name}.yaml"
    if is_updating_golden:
        path.write_text(rendered)
    assert rendered == path.read_text()


def render_deployment_of(
    model: ScoringModel, hardware: HardwareClass, settings: Settings
) -> tuple[Manifest, dict[str, str]]:
    """Return the Deployment and its container's environment."""
    deployment = render_children(model, hardware, settings)[DEPLOYMENT]
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return deployment, {item["name"]: item["value"] for item in container["env"]}


def test_environment_passes_the_model_through(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    source = {"uri": "pvc://models/model.tar", "digest": DIGEST, "format": "torch"}
    env = [{"name": "SCORING_LOG_LEVEL", "value": "debug"}]
    model = build_model("resnet", model=source, runtime={"env": env})
    assert render_deployment_of(model, build_class(), settings)[1] == {
        "SCORING_MODEL_NAME": "resnet",
        "SCORING_MODEL_URI": "pvc://models/model.tar",
        "SCORING_MODEL_DIGEST": DIGEST,
        "SCORING_MODEL_FORMAT": "torch",
        "SCORING_THREADS": "2",
        "SCORING_LOG_LEVEL": "debug",
    }


def test_environment_leaves_out_what_is_not_known(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    hardware = build_class(resources={"requests": {"cpu": 1}})
    _, environment = render_deployment_of(build_model(model={"uri": "file:///m"}), hardware, settings)
    assert environment == {"SCORING_MODEL_NAME": "faq", "SCORING_MODEL_URI": "file:///m"}


def test_environment_of_the_model_wins_over_what_the_operator_sets(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    model = build_model(runtime={"env": [{"name": "SCORING_THREADS", "value": "9"}]})
    assert render_deployment_of(model, build_class(), settings)[1]["SCORING_THREADS"] == "9"


@pytest.mark.parametrize(
    ("cpu", "threads"),
    [(1, "1"), (4, "4"), ("1500m", "2"), ("2000m", "2"), ("2001m", "3"), ("100m", "1"), ("0", "1"), ("2.5", "3")],
)
def test_threads_are_the_cpu_limit_rounded_up(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    cpu: int | str,
    threads: str,
) -> None:
    model = build_model(runtime={"resources": {"limits": {"cpu": cpu}}})
    assert render_deployment_of(model, build_class(), settings)[1]["SCORING_THREADS"] == threads


@pytest.mark.parametrize(
    ("own", "of_class", "model_format", "image"),
    [
        ("own:1", "class:1", "torch", "own:1"),
        (None, "class:1", "torch", "class:1"),
        (None, None, "torch", "scoring-runtime:torch"),
        (None, None, None, "scoring-runtime:sklearn"),
    ],
)
def test_image_is_the_models_then_the_classs_then_the_formats(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    own: str | None,
    of_class: str | None,
    model_format: str | None,
    image: str,
) -> None:
    model = build_model(model={"uri": "file:///m", "format": model_format}, runtime={"image": own})
    deployment, _ = render_deployment_of(model, build_class(image=of_class), settings)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image


@pytest.mark.parametrize(
    ("model_format", "image"),
    [("keras", "tf:1"), ("tensorflow", "tf:1"), ("python", "own:1"), ("onnx", "onnx:1")],
)
def test_image_of_a_format_is_its_own_or_the_one_that_serves_it_too(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], model_format: str, image: str
) -> None:
    images = Settings(runtime_images={"sklearn": "sk:1", "python": "own:1", "tensorflow": "tf:1", "onnx": "onnx:1"})
    model = build_model(model={"uri": "file:///m", "format": model_format, "digest": f"sha256:{'0' * 64}"})
    deployment, _ = render_deployment_of(model, build_class(), images)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image


@pytest.mark.parametrize(
    ("uri", "image"),
    [
        ("pvc://models/churn.skops", "sk:1"),
        ("s3://models/resnet.ONNX", "onnx:1"),
        ("https://models.example.com/a.keras?signature=x", "tf:1"),
        ("pvc://models/faq.tar", "sk:1"),
    ],
)
def test_image_of_a_single_file_is_that_of_its_ending(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], uri: str, image: str
) -> None:
    images = Settings(runtime_images={"sklearn": "sk:1", "tensorflow": "tf:1", "onnx": "onnx:1", "fetch": "fetch:1"})
    deployment, _ = render_deployment_of(build_model(model={"uri": uri, "digest": DIGEST}), build_class(), images)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image


def test_render_names_the_image_that_serves_the_format_when_none_is_known(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass]
) -> None:
    model = build_model(model={"uri": "file:///m", "format": "keras", "digest": f"sha256:{'0' * 64}"})
    with pytest.raises(ModelProblem, match=r"no runtime image for format keras: .* add tensorflow to the chart's"):
        render_children(model, build_class(), Settings(runtime_images={"sklearn": "scoring-runtime:sklearn"}))


def test_render_says_what_to_do_when_no_image_is_known(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass]
) -> None:
    model = build_model(model={"uri": "file:///m", "format": "torch"})
    with pytest.raises(ModelProblem) as refused:
        render_children(model, build_class(), Settings(runtime_images={"sklearn": "scoring-runtime:sklearn"}))
    assert refused.value == ModelProblem(
        "InvalidSpec",
        "the operator has no runtime image for format torch: set spec.runtime.image, or add torch to the chart's runtimeImages.",
    )


def test_render_says_what_to_do_when_an_autoscaled_model_requests_no_cpu(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    hardware = build_class("small", resources={"limits": {"memory": "1Gi"}})
    with pytest.raises(ModelProblem, match=r"autoscaling on cpu needs a CPU request: .* in HardwareClass small"):
        render_children(build_model(autoscaling={"maxReplicas": 2}), hardware, settings)


def test_autoscaler_is_absent_when_replicas_are_fixed(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    assert render_children(build_model(), build_class(), settings)[AUTOSCALER] is None


@pytest.mark.parametrize(
    ("hardware", "has_devices"),
    [
        ({}, False),
        ({"accelerator": {}}, True),
        ({"resourceClaim": {"deviceClassName": "gpu.example.com"}}, True),
        ({"resources": {"limits": {"cpu": 1, "nvidia.com/gpu": 1}}}, True),
        ({"resources": {"requests": {"amd.com/gpu": "1"}, "limits": {"amd.com/gpu": "1"}}}, True),
        ({"resources": {"limits": {"cpu": 1, "nvidia.com/gpu": 0}}}, False),
        ({"resources": {"limits": {"cpu": 1, "ephemeral-storage": "1Gi", "hugepages-2Mi": "4Mi"}}}, False),
    ],
)
def test_replicas_with_devices_give_theirs_back_before_a_new_one_comes(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    hardware: dict[str, Any],
    has_devices: bool,
) -> None:
    deployment, _ = render_deployment_of(build_model(), build_class(**hardware), settings)
    one_by_one, without_loss = {"maxSurge": 0, "maxUnavailable": 1}, {"maxSurge": "25%", "maxUnavailable": 0}
    assert deployment["spec"]["strategy"]["rollingUpdate"] == (one_by_one if has_devices else without_loss)


@pytest.mark.parametrize(
    ("uri", "claim"),
    [("pvc://models/a/b", "models"), ("file:///pvc://x", None), ("https://host/pvc", None)],
)
def test_claim_is_mounted_read_only_when_the_uri_names_one(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    uri: str,
    claim: str | None,
) -> None:
    deployment, _ = render_deployment_of(build_model(model={"uri": uri}), build_class(), settings)
    pod = deployment["spec"]["template"]["spec"]
    volumes = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "model"]
    assert volumes == ([{"claimName": claim, "readOnly": True}] if claim else [])
    assert mounts == ([{"name": "model", "mountPath": "/mnt/model", "readOnly": True}] if claim else [])


def test_service_selects_the_pods_that_the_deployment_makes(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    children = render_children(build_model(), build_class(), settings)
    deployment, service = children[DEPLOYMENT], children[SERVICE]
    assert deployment is not None
    assert service is not None
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_manifests_are_plain_json(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    spec, hardware = CASES["gpu-class"]
    for body in render_children(build_model(**spec), build_class(**hardware), settings).values():
        assert json.loads(json.dumps(body)) == body


def test_network_policy_lets_nobody_in_when_the_list_is_empty(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    policy = render_children(build_model(network={"ingress": []}), build_class(), settings)[NETWORK_POLICY]
    assert policy is not None
    assert (policy["spec"]["policyTypes"], policy["spec"]["ingress"]) == (["Ingress", "Egress"], [])


def test_network_policy_of_every_model_when_the_operator_is_set_so(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    assert render_children(build_model(), build_class(), settings)[NETWORK_POLICY] is None
    strict = settings.model_copy(update={"network_policies": "always"})
    policy = render_children(build_model(), build_class(), strict)[NETWORK_POLICY]
    assert policy is not None
    ports = [{"protocol": protocol, "port": port} for port in (53, 5353) for protocol in ("UDP", "TCP")]
    assert (policy["spec"]["policyTypes"], policy["spec"]["egress"]) == (["Egress"], [{"ports": ports}])


def test_service_account_of_every_model_that_names_none_when_the_operator_is_set_so(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    def find_accounts(settings: Settings, **spec: Any) -> tuple[bool, str]:
        children = render_children(build_model(**spec), build_class(), settings)
        pod = (children[DEPLOYMENT] or {})["spec"]["template"]["spec"]
        return children[SERVICE_ACCOUNT] is not None, pod["serviceAccountName"]

    always = settings.model_copy(update={"service_accounts": "always"})
    assert find_accounts(settings) == (False, "default")
    assert find_accounts(always) == (True, build_model().name)
    assert find_accounts(always, runtime={"serviceAccountName": "mine"}) == (False, "mine")


def test_disruption_budget_only_for_models_that_ask_for_several_replicas(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    def has_budget(**spec: Any) -> bool:
        return render_children(build_model(**spec), build_class(), settings)[DISRUPTION_BUDGET] is not None

    assert not has_budget()
    assert has_budget(replicas=2)
    assert not has_budget(autoscaling={"maxReplicas": 9})
    assert has_budget(autoscaling={"minReplicas": 2, "maxReplicas": 9})


def test_scaling_never_changes_the_pods(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    templates = [
        render_deployment_of(build_model(**spec), build_class(), settings)[0]["spec"]["template"]
        for spec in ({}, {"replicas": 9}, {"autoscaling": {"maxReplicas": 2}})
    ]
    assert templates[0] == templates[1] == templates[2]


@pytest.mark.parametrize(
    ("format_", "variant", "image"),
    [
        ("torch", "cuda", "torch:cuda"),
        ("torch", "rocm", "torch:cpu"),
        ("torch", None, "torch:cpu"),
        ("keras", "cuda", "tensorflow:cuda"),
        ("sklearn", "cuda", "sklearn:cpu"),
    ],
)
def test_image_is_the_variant_of_the_class_where_there_is_one(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    format_: str,
    variant: str | None,
    image: str,
) -> None:
    images = {f"{name}{end}": f"{name}:{end[1:] or 'cpu'}" for name in ("torch", "tensorflow") for end in ("", "-cuda")}
    settings = Settings(runtime_images={**images, "sklearn": "sklearn:cpu"})
    source = {"uri": "file:///m", "format": format_, "digest": DIGEST}
    deployment, _ = render_deployment_of(build_model(model=source), build_class(imageVariant=variant), settings)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image


def test_changed_claim_rolls_the_pods(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    one, two = (
        render_deployment_of(
            build_model(),
            build_class(resourceClaim={"deviceClassName": "gpu.example.com", "count": count}),
            settings,
        )[0]["spec"]["template"]
        for count in (1, 2)
    )
    assert one["metadata"]["annotations"] != two["metadata"]["annotations"]


def test_render_says_what_to_do_when_no_prometheus_is_known(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    model = build_model(autoscaling={"maxReplicas": 2, "metrics": [{"type": "requestsPerSecond", "target": 50}]})
    nowhere = settings.model_copy(update={"prometheus_address": ""})
    with pytest.raises(ModelProblem, match=r"requestsPerSecond is read from Prometheus, .* set serverAddress"):
        render_children(model, build_class(), nowhere)


def test_patterns_of_the_operator_reach_the_pods_unless_the_model_sets_its_own(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass]
) -> None:
    settings = Settings(runtime_images={"sklearn": "sk:1"}, redact_patterns=("[0-9]{9}",))
    own = build_model(runtime={"env": [{"name": "SCORING_REDACT_PATTERNS", "value": "[]"}]})
    for model, value in ((build_model(), '["[0-9]{9}"]'), (own, "[]")):
        assert render_deployment_of(model, build_class(), settings)[1]["SCORING_REDACT_PATTERNS"] == value


def test_pull_secrets_are_the_models_the_classs_and_the_operators_each_once(
    build_model: Callable[..., ScoringModel], build_class: Callable[..., HardwareClass], settings: Settings
) -> None:
    images = {"sklearn": "registry.example.com/runtime@sha256:" + "0" * 64}
    with_default = Settings(runtime_images=images, image_pull_secrets=("operators", "classs"))
    model = build_model(runtime={"imagePullSecrets": [{"name": "models"}]})
    hardware = build_class(imagePullSecrets=[{"name": "classs"}])
    deployment, _ = render_deployment_of(model, hardware, with_default)
    pod = deployment["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "models"}, {"name": "classs"}, {"name": "operators"}]
    deployment, _ = render_deployment_of(build_model(), build_class(), settings)
    # Else the admission of pods would not add those of the service account.
    assert "imagePullSecrets" not in deployment["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("registry.example.com/runtime:7", "IfNotPresent"),
        ("registry.example.com/runtime@sha256:" + "0" * 64, "IfNotPresent"),
        ("registry.example.com/runtime:latest@sha256:" + "0" * 64, "IfNotPresent"),
        ("registry.example.com:5000/runtime:7", "IfNotPresent"),
        ("registry.example.com:5000/runtime", "Always"),
        ("runtime", "Always"),
        ("runtime:latest", "Always"),
    ],
)
def test_an_image_is_pulled_again_only_where_its_tag_moves_or_the_model_says_so(
    build_model: Callable[..., ScoringModel],
    build_class: Callable[..., HardwareClass],
    settings: Settings,
    image: str,
    policy: str,
) -> None:
    for wished in (None, "Never", "Always"):
        runtime = {"image": image, **({"imagePullPolicy": wished} if wished else {})}
        deployment, _ = render_deployment_of(build_model(runtime=runtime), build_class(), settings)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert (container["image"], container["imagePullPolicy"]) == (image, wished or policy)
