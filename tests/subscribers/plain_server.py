"""A process that serves ConsumeFulfillments over a database that others serve too, until it is killed."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import grpc

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.event_log.consumer_surroundings import ConsumerLimits
from payments_service.event_log.fulfillment_consumption import FulfillmentConsumers
from payments_service.event_log.tailer import Tailer
from payments_service.rpc.call_interceptor import CallInterceptor
from payments_service.rpc.callers import AnyCaller
from payments_service.storage.database import open_database

SERVICE, METHOD = "payments.v1.Payments", "ConsumeFulfillments"
LIMITS = ConsumerLimits(lease=1.0, hold=1.0, survey=0.2, impatient_survey=0.05, floors=0.1)


async def serve(url: str, port: int) -> None:
    """Say that it is ready when everything is open."""
    async with open_database(url) as database:
        tailer = Tailer(database)
        await tailer.open()
        consumers = FulfillmentConsumers(database, tailer, lambda: datetime.now(UTC), limits=LIMITS)
        answer = CallInterceptor(AnyCaller(), 60.0).conversation(
            f"{SERVICE}/{METHOD}",
            pb.ConsumeFulfillmentsRequest,
            lambda requests, call: consumers.open(requests, call.current_caller),
        )
        server = grpc.aio.server()
        handler: Any = grpc.stream_stream_rpc_method_handler(answer)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        print("ready", flush=True)
        await tailer.run()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
