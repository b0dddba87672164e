"""What is said of an image that cannot be pulled, by the words of container runtimes."""

import pytest

from scoring_operator.image_pulls import SAID_CHARACTERS, explain_pull, find_registry

IMAGE = "registry.example.com:5000/team/runtime:7"
PULL = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
TRIED = "pull access denied, repository does not exist or may require authorization: "

ASKED = "registry.example.com:5000 asks for a login. Name a Secret"
MISSING = "none was found for it in Secret team, platform. Each must be there in this namespace"
REFUSED = "registry.example.com:5000 refuses the login in Secret team, platform, or none is there. Look that each is in this namespace"


@pytest.mark.parametrize(
    ("said", "without_secrets", "with_secrets"),
    [
        (PULL + TRIED + "authorization failed: no basic auth credentials", ASKED, MISSING),
        (PULL + "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized", ASKED, MISSING),
        (PULL + "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized", ASKED, REFUSED),
        (PULL + "unexpected status from HEAD request to https://h/v2/x/manifests/7: 401 Unauthorized", ASKED, REFUSED),
        (PULL + TRIED + "server message: insufficient_scope: authorization failed", ASKED, REFUSED),
        ("reading manifest 7 in h/x: denied: requested access to the resource is denied", ASKED, REFUSED),
        (PULL + "unexpected status code: 403 Forbidden", ASKED, REFUSED),
        (PULL + f"{IMAGE}: not found", "has no such repository, tag or digest", ""),
        ("reading manifest 7 in h/x: manifest unknown", "has no such repository, tag or digest", ""),
        (PULL + "unexpected status code: 429 Too Many Requests - toomanyrequests: You have reached", "no more for now", ""),
        (PULL + "dial tcp: lookup registry.example.com: no such host", "does not reach registry.example.com:5000", ""),
        (PULL + "dial tcp 10.0.0.1:5000: i/o timeout", "does not reach registry.example.com:5000", ""),
        (PULL + "tls: failed to verify certificate: x509: certificate signed by unknown authority", "does not trust", ""),
        (PULL + "http: server gave HTTP response to HTTPS client", "does not trust", ""),
        ("something new", "check its name, and that the nodes reach registry.example.com:5000", ""),
    ],
)  # fmt: skip
def test_a_failed_pull_says_what_to_do(said: str, without_secrets: str, with_secrets: str) -> None:
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        sentence = explain_pull(IMAGE, reason, said, [])
        assert sentence.startswith(f"Image {IMAGE} cannot be pulled: ")
        assert without_secrets in sentence
        assert (with_secrets or without_secrets) in explain_pull(IMAGE, reason, said, ["team", "platform"])


def test_the_end_of_what_the_node_says_is_quoted_which_holds_the_cause() -> None:
    sentence = explain_pull("x", "ErrImagePull", "tried " * 1000 + "not found", [])
    assert sentence.endswith("not found)")
    assert len(sentence) < SAID_CHARACTERS + 300
    assert explain_pull("x", "ErrImagePull", "", []).endswith("docker.io.")


@pytest.mark.parametrize(
    ("image", "registry"),
    [
        (IMAGE, "registry.example.com:5000"),
        ("localhost/runtime", "localhost"),
        ("localhost:5000/runtime@sha256:00", "localhost:5000"),
        ("ghcr.io/team/runtime", "ghcr.io"),
        ("team/runtime:7", "docker.io"),
        ("runtime:7", "docker.io"),
        ("runtime", "docker.io"),
        ("", "docker.io"),
    ],
)
def test_the_registry_is_the_host_of_the_name(image: str, registry: str) -> None:
    assert find_registry(image) == registry
