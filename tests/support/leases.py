"""The API server's Lease as an election sees it, with the faults that a network and people bring."""

import asyncio
import itertools
from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

from scoring_operator.errors import ClusterError, Conflict, NotFound
from scoring_operator.kinds import Kind

Manifest = dict[str, Any]
T = TypeVar("T")


class LeaseServer:
    """Holds one Lease, and takes a write only when it is based on the newest version."""

    def __init__(self) -> None:
        self.lease: Manifest | None = None
        self._versions = itertools.count(1)

    def edit(self, **spec: Any) -> None:
        """Change fields of the spec, as `kubectl patch` does."""
        if self.lease is None:
            raise LookupError("there is no Lease")
        self._keep({**self.lease, "spec": {**self.lease["spec"], **spec}})

    def create(self, body: Manifest) -> Manifest:
        """Create the Lease."""
        if self.lease is not None:
            raise Conflict("it exists")
        return self._keep(body)

    def update(self, body: Manifest) -> Manifest:
        """Replace the Lease."""
        if self.lease is None:
            raise NotFound("there is none")
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("it has changed")
        return self._keep(body)

    def _keep(self, body: Manifest) -> Manifest:
        metadata = {**body["metadata"], "resourceVersion": str(next(self._versions))}
        self.lease = {**body, "metadata": metadata}
        return deepcopy(self.lease)


class LeaseConnection:
    """One process's way to the server: requests and answers may be late, or never arrive."""

    def __init__(self, server: LeaseServer) -> None:
        self._server = server
        self.is_cut = False
        self.request_seconds = 0.005
        self.answer_seconds = 0.005

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return the Lease."""
        del kind, namespace, name
        return await self._ask(lambda: deepcopy(self._server.lease))

    async def create(self, kind: Kind, body: Manifest) -> Manifest:
        """Create the Lease."""
        del kind
        return await self._ask(lambda: self._server.create(body))

    async def update(self, kind: Kind, body: Manifest) -> Manifest:
        """Replace the Lease."""
        del kind
        return await self._ask(lambda: self._server.update(body))

    async def _ask(self, act: Callable[[], T]) -> T:
        await asyncio.sleep(self.request_seconds)
        if self.is_cut:
            raise ClusterError("connection refused")
        result = act()
        await asyncio.sleep(self.answer_seconds)
        if self.is_cut:
            raise ClusterError("connection reset")
        return result
