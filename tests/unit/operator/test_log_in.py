"""How the operator finds the API server: by the kubeconfig outside of a pod."""

from pathlib import Path

import pytest
import yaml

from scoring_operator.errors import ClusterError
from scoring_operator.main import find_access, find_server


def write_kubeconfig(path: Path, user: dict[str, object]) -> None:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [
            {"name": "here", "cluster": {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "me", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_kubeconfig_gives_address_and_token(kubeconfig: Path) -> None:
    write_kubeconfig(kubeconfig, {"token": "secret"})
    access = find_access()
    assert access.server == "https://127.0.0.1:6443"
    assert access.headers == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(access)


def test_kubeconfig_that_is_not_there_or_incomplete_is_an_error_of_the_cluster(kubeconfig: Path) -> None:
    with pytest.raises(ClusterError, match="no usable kubeconfig"):
        find_access()
    kubeconfig.write_text("{}")
    with pytest.raises(ClusterError, match="no usable kubeconfig"):
        find_access()


def test_nothing_to_log_in_with_is_an_error_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterError, match="neither in a pod nor with a kubeconfig"):
        find_access()


@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_server_is_the_address_that_each_container_is_given(
    host: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert find_server() == url
