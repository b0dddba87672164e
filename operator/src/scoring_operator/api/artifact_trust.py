"""What spec.model says about trust: the credentials to fetch the artifact with, and the signature that it must have."""

from typing import Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from scoring_operator.api.base import ApiModel, DnsName, TextRule, cel, validated
from scoring_operator.api.model_uri import URI_RULES

CREDENTIALS_EMPTY = "credentials needs secretName, anonymous: true, or both"
KEY_RULE = TextRule(
    r"^([ \n]*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/= \n]+-----END PUBLIC KEY-----[ \n]*)+$",
    "publicKey must be PEM text: -----BEGIN PUBLIC KEY-----, base64, -----END PUBLIC KEY-----",
)
SIGNATURE_RULE = TextRule("^[A-Za-z0-9+/]+={0,2}$", "value must be base64 text, as `cosign sign-blob --key` prints it")
SIGNATURE_TWICE = "uri and value exclude each other"


class Credentials(ApiModel):
    """What the artifact is fetched with. Only the container that fetches it gets the Secret; the one that serves does not."""

    model_config = ConfigDict(
        json_schema_extra=validated(
            cel("has(self.secretName) || (has(self.anonymous) && self.anonymous)", CREDENTIALS_EMPTY)
        )
    )

    secret_name: DnsName | None = Field(
        None,
        description=(
            "Name of a Secret of the same namespace. s3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; gs: service-account.json; abfs: "
            "AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TENANT_ID; hf: HF_TOKEN; "
            "oci: .dockerconfigjson; https: token, or username and password. ca.crt beside them: certificates of private authorities."
        ),
    )
    anonymous: bool = Field(
        False, description="Ask a public bucket or container without credentials, for s3, gs and abfs."
    )

    @model_validator(mode="after")
    def check_fields(self) -> Self:
        """Return the credentials, unless they say nothing."""
        if self.secret_name is None and not self.anonymous:
            raise ValueError(CREDENTIALS_EMPTY)
        return self


class Signature(ApiModel):
    """A signature that the artifact must have, as `cosign sign-blob --key` or OpenSSL makes it; checked before anything is unpacked or loaded."""

    model_config = ConfigDict(json_schema_extra=validated(cel("!has(self.uri) || !has(self.value)", SIGNATURE_TWICE)))

    public_key: str = Field(
        max_length=4096,
        description="Public key, ECDSA P-256 or Ed25519, as PEM text; several, one after the other: any of them may have signed.",
        json_schema_extra=validated(KEY_RULE.render()),
    )
    uri: str | None = Field(
        None,
        max_length=2048,
        description="Where the signature lies: same scheme and host, bucket or claim as the artifact. Left out: the artifact's URI with .sig at its end.",
        json_schema_extra=validated(*(rule.render() for rule in URI_RULES)),
    )
    value: str | None = Field(
        None,
        min_length=1,
        max_length=512,
        description="The signature itself, in base64, instead of a place where it lies.",
        json_schema_extra=validated(SIGNATURE_RULE.render()),
    )

    @field_validator("public_key")
    @classmethod
    def check_key(cls, key: str) -> str:
        """Return the key if it looks like one."""
        return KEY_RULE.check(key)

    @field_validator("uri")
    @classmethod
    def check_uri(cls, uri: str | None) -> str | None:
        """Return the URI if all rules hold for it."""
        for rule in URI_RULES if uri is not None else ():
            rule.check(uri or "")
        return uri

    @field_validator("value")
    @classmethod
    def check_value(cls, value: str | None) -> str | None:
        """Return the signature if it is base64."""
        return None if value is None else SIGNATURE_RULE.check(value)

    @model_validator(mode="after")
    def check_place(self) -> Self:
        """Return the signature, unless it is given twice."""
        if self.uri is not None and self.value is not None:
            raise ValueError(SIGNATURE_TWICE)
        return self
