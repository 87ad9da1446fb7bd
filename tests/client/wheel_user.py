"""Run by test_client_wheel in other environments: sells, streams and consumes, then says with which versions."""

import asyncio
import sys
import warnings

import google.protobuf
import grpc
import payments_client
from payments_client import AsyncPaymentsClient, Course, Event, LineItem, Money, PaymentsClient, Start


async def use(address: str) -> None:
    """Call everything once."""
    done: list[str] = []
    stop = asyncio.Event()

    async def handle(event: Event) -> None:
        done.append(event.event_id)
        if len(done) == 5:
            stop.set()

    async with AsyncPaymentsClient(address) as client:
        items = [LineItem("SQL", Money("EUR", 4900))]
        await client.create_checkout(organization_id="o", user_id="u", purchase=Course("sql"), line_items=items)
        assert len([event async for event in client.stream(start=Start.EARLIEST, follow=False)]) == 14
        await client.consume("course-service", handle, stop=stop)


def use_blocking(address: str) -> None:
    """Call by the blocking client."""
    with PaymentsClient(address) as client, client.stream(start=Start.EARLIEST, follow=False) as events:
        assert len(list(events)) == 14


if __name__ == "__main__":
    warnings.simplefilter("error")
    asyncio.run(use(sys.argv[1]))
    use_blocking(sys.argv[1])
    print(payments_client.__file__, grpc.__version__, google.protobuf.__version__)
