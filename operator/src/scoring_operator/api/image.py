"""How images are pulled: the secrets for a private registry, and when a node pulls again."""

from typing import Annotated, Literal

from pydantic import Field

from scoring_operator.api.base import ApiModel, DnsName

PullPolicy = Literal["Always", "IfNotPresent", "Never"]


class PullSecret(ApiModel):
    """A Secret of type kubernetes.io/dockerconfigjson, as a pod names it."""

    name: DnsName = Field(description="Name of the Secret, in the namespace of the model.")


PullSecrets = Annotated[tuple[PullSecret, ...], Field(max_length=16)]
