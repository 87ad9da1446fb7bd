"""The health service: each service is SERVING until this process drains, and NOT_SERVING from then on.

Watchers are told and let go, so that one that stays does not hold the drain up.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Response = health_pb2.HealthCheckResponse
Context = grpc.aio.ServicerContext[Any, Any]


class ServiceHealth(health_pb2_grpc.HealthServicer):
    """The health of this process's services; the empty name stands for all of them."""

    def __init__(self, services: Iterable[str]) -> None:
        """Start as SERVING."""
        self._services = {"", *services}
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Be NOT_SERVING for good."""
        self._draining.set()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> Response:  # noqa: N802
        """Tell one service's health once."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"There is no service {request.service!r} here.")
        return Response(status=self._status(request.service))

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:  # noqa: N802
        """Tell one service's health now and when it changes."""
        if not self._draining.is_set():
            await context.write(Response(status=self._status(request.service)))
        await self._draining.wait()
        await context.write(Response(status=self._status(request.service)))

    def _status(self, service: str) -> int:
        if service not in self._services:
            return Response.SERVICE_UNKNOWN
        return Response.NOT_SERVING if self._draining.is_set() else Response.SERVING
