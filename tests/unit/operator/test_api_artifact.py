"""spec.model: which URIs, credentials, endpoints and signatures are let in, and what is said of the others."""

from collections.abc import Callable
from typing import Any

import pytest

from scoring_operator.api import ScoringModel
from scoring_operator.errors import ModelProblem

DIGEST = "sha256:" + "ab" * 32
KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
SIGNATURE = {"publicKey": KEY}

BuildModel = Callable[..., ScoringModel]


@pytest.mark.parametrize(
    "uri",
    [
        "file:///models/faq",
        "pvc://models/faq",
        "https://host:8443/faq.tar?signature=x",
        "https://[2001:db8::1]/faq.tar",
        "s3://models/faq/3/",
        "s3://my.models_1/a b%20c.tar",
        "gs://models/faq.tar",
        "abfs://models@account.dfs.core.windows.net/faq/",
        "abfss://models@account.dfs.core.windows.net/faq.zip",
        "hf://team/faq",
        "hf://team/faq@refs%2Fpr%2F1/onnx",
        "hf://team/faq@main/model.tar",
        "oci://registry.example.com/team/faq:3",
        "oci://localhost:5000/faq@" + DIGEST,
    ],
)
def test_uri_of_each_scheme_is_let_in(build_model: BuildModel, uri: str) -> None:
    assert build_model(model={"uri": uri}).spec.model.uri == uri


@pytest.mark.parametrize(
    "uri",
    [
        "http://host/faq.tar",
        "s3://models",
        "s3://models/",
        "s3://models/faq?versionId=1",
        "s3://me@models/faq",
        "s3://models/../faq",
        "gs:///faq",
        "abfs://account.dfs.core.windows.net/faq",
        "abfs://models:key@account.dfs.core.windows.net/faq",
        "abfs://models@account/faq",
        "hf://faq",
        "hf://team/faq@",
        "hf://team/faq@main/../x",
        "oci://registry.example.com/faq",
        "oci://registry.example.com/Faq:3",
        "oci://user:secret@registry.example.com/faq:3",
        "oci://registry.example.com:x/faq:3",
        "oci://registry.example.com/faq@sha256:12",
    ],
)
def test_uri_that_nothing_could_be_fetched_from_is_refused(build_model: BuildModel, uri: str) -> None:
    with pytest.raises(ModelProblem, match=r"spec\.model\.uri: Value error, uri must") as refused:
        build_model(model={"uri": uri})
    assert refused.value.reason == "InvalidSpec"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"uri": "s3://m/f", "credentials": {}}, "credentials needs secretName, anonymous: true, or both"),
        ({"uri": "s3://m/f", "credentials": {"secretName": "A b"}}, "spec.model.credentials.secretName"),
        ({"uri": "pvc://m/f", "credentials": {"secretName": "s"}}, "credentials are for artifacts that are fetched"),
        (
            {"uri": "https://h/f.tar", "credentials": {"anonymous": True}},
            "credentials.anonymous is for s3, gs and abfs",
        ),
        ({"uri": "s3://m/f", "endpoint": "minio:9000"}, "endpoint must be an address such as"),
        ({"uri": "s3://m/f", "endpoint": "https://me@minio:9000"}, "endpoint must be an address such as"),
        ({"uri": "https://h/f.tar", "endpoint": "https://minio"}, "endpoint is for s3, gs, abfs and hf"),
        ({"uri": "s3://m/f", "endpoint": "http://minio"}, "an endpoint without TLS is for s3 only, and needs a digest"),
        ({"uri": "hf://t/f", "endpoint": "http://h", "digest": DIGEST}, "an endpoint without TLS is for s3 only"),
        ({"uri": "s3://m/f", "endpoint": "https://minio:99999"}, "endpoint must be an address"),
        ({"uri": "s3://m/f", "endpoint": "https://[1.2.3.4]:9000"}, "endpoint must be an address"),
        ({"uri": "s3://m/f", "sizeLimit": "0Gi"}, "sizeLimit must be more than 0"),
        ({"uri": "s3://m/f", "sizeLimit": "much"}, "must be a quantity such as 2, 500m or 4Gi"),
        ({"uri": "s3://m/f", "signature": {}}, "spec.model.signature.publicKey: Field required"),
        ({"uri": "s3://m/f", "signature": {"publicKey": "MFkw"}}, "publicKey must be PEM text"),
        ({"uri": "s3://m/f", "signature": {**SIGNATURE, "value": "no!"}}, "value must be base64 text"),
        (
            {"uri": "s3://m/f", "signature": {**SIGNATURE, "value": "QQ==", "uri": "s3://m/f.sig"}},
            "uri and value exclude each other",
        ),
        ({"uri": "file:///m", "signature": SIGNATURE}, "signature is not for file:// artifacts"),
        (
            {"uri": "s3://m/f", "signature": {**SIGNATURE, "uri": "s3://other/f.sig"}},
            "signature.uri must have the scheme and the host, bucket or claim of uri",
        ),
        ({"uri": "s3://m/f.pkl", "signature": SIGNATURE}, "digest is required for this file"),
        ({"uri": "oci://r/f:1", "format": "mlflow"}, "digest is required for the formats"),
    ],
)
def test_what_does_not_fit_the_artifact_is_refused(
    build_model: BuildModel, model: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelProblem) as refused:
        build_model(model=model)
    assert message in refused.value.message


@pytest.mark.parametrize(
    "model",
    [
        {"uri": "s3://m/f", "credentials": {"secretName": "s3", "anonymous": True}, "endpoint": "https://minio:9000/"},
        {"uri": "s3://m/f", "endpoint": "http://minio:9000", "digest": DIGEST},
        {"uri": "s3://m/f", "endpoint": "http://minio:9000", "signature": SIGNATURE},
        {"uri": "gs://m/f", "credentials": {"anonymous": True}, "sizeLimit": "20Gi"},
        {"uri": "pvc://m/f.tar", "signature": {"publicKey": KEY + KEY, "uri": "pvc://m/other.sig"}},
        {"uri": "https://h:1/f.tar", "signature": {**SIGNATURE, "value": "MEUCIQ=="}, "sizeLimit": 1024},
    ],
)
def test_what_fits_the_artifact_is_let_in(build_model: BuildModel, model: dict[str, Any]) -> None:
    assert build_model(model=model).spec.model.uri == model["uri"]
