"""How the runtime's image is pulled: with which secrets, and when a node that has it asks the registry again."""

from scoring_operator.api import HardwareClass, Manifest, ScoringModel
from scoring_operator.settings import Settings

LATEST = "latest"


def render_pull_secrets(model: ScoringModel, hardware: HardwareClass, settings: Settings) -> Manifest:
    """Return the pod's pull secrets, if any: the model's, its class's and the operator's, since the image may come from any of them.

    The kubelet tries those that have a login for the image's registry, in this order.
    """
    own = [secret.name for secret in (*model.spec.runtime.image_pull_secrets, *hardware.spec.image_pull_secrets)]
    names = dict.fromkeys([*own, *settings.image_pull_secrets])
    return {"imagePullSecrets": [{"name": name} for name in names]} if names else {}


def choose_pull_policy(model: ScoringModel, image: str) -> str:
    """Return the model's policy, else Kubernetes' own: an image whose tag moves is asked for at each start, any other once.

    It is always named: a pod template that no longer named any would keep the policy that it had before.
    """
    return model.spec.runtime.image_pull_policy or find_pull_policy(image)


def find_pull_policy(image: str) -> str:
    """Return Kubernetes' own policy for an image."""
    return "Always" if has_moving_tag(image) else "IfNotPresent"


def has_moving_tag(image: str) -> bool:
    """Tell whether an image is named without digest, and with the tag `latest` or none, which means it."""
    name, _, digest = image.partition("@")
    # A `:` before the last / is the registry's port.
    _, _, tag = name.rpartition("/")[2].partition(":")
    return not digest and tag in {"", LATEST}
