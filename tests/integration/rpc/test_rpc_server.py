"""The server listens where it is told, shows itself to tools, and drains in order without losing a call."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sqlalchemy import select

from payments_service.contract.pb.payments.v1 import operations_pb2 as ops
from payments_service.contract.pb.payments.v1 import payments_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import StartPosition
from payments_service.contract.pb.payments.v1.fulfillment_stream_pb2 import StreamFulfillmentsRequest
from payments_service.contract.pb.payments.v1.operations_pb2_grpc import OperationsStub
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub
from payments_service.errors import ConfigurationError
from payments_service.rpc.grpc_server import ServerConfig, open_server
from payments_service.storage.tables import orders

from .rpc_service import OPERATOR, SERVICE, SHOP, RpcService, bearer, refusal, until

NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING
EARLIEST = StreamFulfillmentsRequest(start=StartPosition(earliest=True))
BUF = Path(sys.executable).with_name("buf")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
BOTH = {"payments.v1.Payments", "payments.v1.Operations"}


def untyped(stub: Any, channel: grpc.aio.Channel) -> Any:  # noqa: ANN401  # the library's stubs have no types
    return stub(channel)


async def buf_curl(service: RpcService, *arguments: str) -> str:
    buf = await asyncio.create_subprocess_exec(
        BUF,
        "curl",
        "--protocol=grpc",
        "--http2-prior-knowledge",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=service.callers_path.parent,
    )
    output, _ = await buf.communicate()
    return output.decode()


async def test_reflection_lists_both_services_and_shows_their_methods(service: RpcService) -> None:
    stub = untyped(reflection_pb2_grpc.ServerReflectionStub, service.channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="payments.v1.Payments"),
    ]

    listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]

    assert {named.name for named in listed.list_services_response.service} >= BOTH
    assert described.file_descriptor_response.file_descriptor_proto


async def test_buf_curl_needs_no_proto_files(service: RpcService) -> None:
    order = await service.order()
    url = f"http://{service.address}"
    header = f"--header=Authorization: Bearer {SHOP.name}"

    methods = await buf_curl(service, "--list-methods", url)
    shown = await buf_curl(
        service, header, f'--data={{"order_id": "{order.order_id}"}}', f"{url}/payments.v1.Payments/GetOrder"
    )
    missing = await buf_curl(service, header, '--data={"order_id": "x"}', f"{url}/payments.v1.Payments/GetOrder")

    assert "payments.v1.Payments/CreateCheckout" in methods
    assert "payments.v1.Operations/ExplainOrder" in methods
    assert order.order_id in shown
    assert "not_found" in missing


async def test_each_service_is_healthy_and_an_unknown_one_is_not_found(service: RpcService) -> None:
    stub = untyped(health_pb2_grpc.HealthStub, service.channel)

    for name in ["", *BOTH]:
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="payments.v1.Other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


class Draining:
    """A server over the parts of a service, which a test drains when it likes."""

    def __init__(self, channel: grpc.aio.Channel, stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
        self.payments = PaymentsStub(channel)
        self.operations = OperationsStub(channel)
        self.health = untyped(health_pb2_grpc.HealthStub, channel)
        self._stop = stop
        self._serving = serving

    def drain(self) -> None:
        """Begin to drain."""
        self._stop.set()

    async def closed(self) -> float:
        """Wait for the end; gives the seconds that it took from now."""
        started = asyncio.get_running_loop().time()
        await self._serving
        return asyncio.get_running_loop().time() - started


@asynccontextmanager
async def open_draining(service: RpcService, drain_seconds: float = 5.0) -> AsyncIterator[Draining]:
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with open_server(ServerConfig("127.0.0.1:0", drain_seconds=drain_seconds), service.parts) as server:
            listening.set_result(server.address)
            await stop.wait()

    serving = asyncio.create_task(serve())
    async with grpc.aio.insecure_channel(await listening) as channel:
        yield Draining(channel, stop, serving)
        stop.set()
        await serving


async def test_health_turns_not_serving_and_streams_drain(service: RpcService) -> None:
    async with open_draining(service) as server:
        watching = server.health.Watch(health_pb2.HealthCheckRequest(service="payments.v1.Payments"))
        stream = aiter(server.payments.StreamFulfillments(EARLIEST, metadata=bearer(SHOP)))
        assert (await watching.read()).status == SERVING
        assert (await anext(stream)).HasField("opened")
        seen: list[str] = []

        async def watch() -> None:
            assert (await watching.read()).status == NOT_SERVING
            seen.append("NOT_SERVING")

        async def follow() -> None:
            async for response in stream:
                if response.HasField("draining"):
                    seen.append("draining")

        watched, followed = asyncio.create_task(watch()), asyncio.create_task(follow())
        server.drain()

        assert (await refusal(followed)).reason == "DRAINING"
        await watched
        # Each is a stream of its own: which of them the client reads first is not the server's to say.
        assert sorted(seen) == ["NOT_SERVING", "draining"]
        assert await server.closed() < 1


async def test_a_watcher_of_health_does_not_hold_the_drain_up(service: RpcService) -> None:
    async with open_draining(service, drain_seconds=30.0) as server:
        watching = server.health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == SERVING

        server.drain()

        assert (await watching.read()).status == NOT_SERVING
        assert await watching.read() is grpc.aio.EOF
        assert await server.closed() < 5


async def handed_over(service: RpcService) -> pb.CompleteFulfillmentRequest:
    order = await service.paid_order(purchase=SERVICE)
    fulfillment = await service.stages.fulfill(order.order_id)
    return pb.CompleteFulfillmentRequest(fulfillment_id=fulfillment.fulfillment_id, result={"booking": "b-1"})


async def test_a_call_under_way_is_answered_while_new_ones_are_refused(service: RpcService) -> None:
    report = await handed_over(service)
    async with open_draining(service) as server:
        async with service.stages.database.transaction() as tx:  # whoever moves an order has to wait
            await tx.execute(select(orders.c.order_id).with_for_update())
            slow = server.payments.CompleteFulfillment(report, metadata=bearer(SHOP))
            await server.operations.GetStatus(ops.GetStatusRequest(), metadata=bearer(OPERATOR))

            server.drain()
            await until(lambda: is_refused(server))
            assert not slow.done()

        assert dict((await slow).order.fulfillments[0].result) == {"booking": "b-1"}
        assert await server.closed() < 1


async def is_refused(server: Draining) -> bool:
    try:
        await server.operations.GetStatus(ops.GetStatusRequest(), metadata=bearer(OPERATOR))
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.UNAVAILABLE
    return False


async def test_a_call_that_does_not_end_is_cancelled_when_the_time_is_up(service: RpcService) -> None:
    report = await handed_over(service)
    async with open_draining(service, drain_seconds=0.3) as server, service.stages.database.transaction() as tx:
        await tx.execute(select(orders.c.order_id).with_for_update())
        stuck = server.payments.CompleteFulfillment(report, metadata=bearer(SHOP))
        await server.operations.GetStatus(ops.GetStatusRequest(), metadata=bearer(OPERATOR))

        server.drain()

        assert await server.closed() < 2
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stuck
        assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


async def test_an_address_that_is_taken_is_named_with_its_variable(service: RpcService) -> None:
    with pytest.raises(ConfigurationError, match=f"PAYMENTS_GRPC_ADDRESS: cannot listen on {service.address}"):
        async with open_server(ServerConfig(service.address), service.parts):
            pass


def make_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return certificate, key


@needs_openssl
async def test_with_a_certificate_it_speaks_tls_and_nothing_else(tmp_path: Path, service: RpcService) -> None:
    certificate, key = make_certificate(tmp_path)
    async with open_server(ServerConfig("127.0.0.1:0", certificate, key), service.parts) as server:
        trusting = grpc.ssl_channel_credentials(certificate.read_bytes())
        async with grpc.aio.secure_channel(server.address, trusting) as channel:
            await OperationsStub(channel).GetStatus(ops.GetStatusRequest(), metadata=bearer(OPERATOR))
        async with grpc.aio.insecure_channel(server.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await OperationsStub(channel).GetStatus(ops.GetStatusRequest(), metadata=bearer(OPERATOR))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@needs_openssl
@pytest.mark.parametrize(
    ("certificate", "key", "sentence"),
    [
        ("", "key.pem", "PAYMENTS_TLS_CERT is empty"),
        ("cert.pem", "", "PAYMENTS_TLS_KEY is empty"),
        ("cert.pem", "missing.pem", "PAYMENTS_TLS_KEY: .*missing.pem cannot be read"),
        ("missing.pem", "key.pem", "PAYMENTS_TLS_CERT: .*missing.pem cannot be read"),
        ("key.pem", "cert.pem", "PAYMENTS_TLS_CERT and PAYMENTS_TLS_KEY: .* that belong together"),
        ("cert.pem", "others.pem", "PAYMENTS_TLS_CERT and PAYMENTS_TLS_KEY: .* that belong together"),
    ],
)
async def test_a_wrong_certificate_or_key_is_named(
    tmp_path: Path, service: RpcService, certificate: str, key: str, sentence: str
) -> None:
    _, others = make_certificate(tmp_path)
    others.rename(tmp_path / "others.pem")
    make_certificate(tmp_path)
    config = ServerConfig(
        "127.0.0.1:0", tmp_path / certificate if certificate else None, tmp_path / key if key else None
    )

    with pytest.raises(ConfigurationError, match=sentence):
        async with open_server(config, service.parts):
            pass
