"""A member in a process of its own: prints each event that it works on, then acknowledges it, until it is killed."""

import sys
from collections.abc import Iterator
from queue import SimpleQueue

import grpc

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.contract.pb.payments.v1.payments_pb2_grpc import PaymentsStub


def main() -> None:
    """Work on a subscriber, both of which the arguments name."""
    address, subscriber, member_id = sys.argv[1:]
    words: SimpleQueue[pb.ConsumeFulfillmentsRequest] = SimpleQueue()
    opening = pb.OpenConsumer(subscriber=subscriber, member_id=member_id, credit=100)
    words.put(pb.ConsumeFulfillmentsRequest(open=opening))

    def requests() -> Iterator[pb.ConsumeFulfillmentsRequest]:
        while True:
            yield words.get()

    with grpc.insecure_channel(address) as channel:
        metadata = (("authorization", "Bearer shop"),)
        for response in PaymentsStub(channel).ConsumeFulfillments(requests(), metadata=metadata):
            for delivery in response.deliveries.deliveries:
                print(delivery.event.event_id, flush=True)
                words.put(pb.ConsumeFulfillmentsRequest(ack=pb.AckEvents(ack_ids=[delivery.ack_id])))


if __name__ == "__main__":
    main()
