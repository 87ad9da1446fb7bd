"""A member in a process of its own, by stubs of the contract alone and plain grpcio; it knows nothing else of ours.

It writes down what it is handed, what it does and what it is told to be durable; it fails by chance, always at poison,
comes back when it is cut off, and closes at SIGTERM. Its one argument is a JSON of what it is to do.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc

WISH: dict[str, Any] = json.loads(sys.argv[1])
sys.path.insert(0, WISH["stubs"])
from payments.v1 import payments_pb2 as pb  # type: ignore[import-not-found]  # noqa: E402
from payments.v1 import payments_pb2_grpc as services  # noqa: E402

CHANNEL = [("grpc.enable_retries", 0), ("grpc.initial_reconnect_backoff_ms", 100)]


class ContractMember:
    """One member; `run` it until it is closed or killed."""

    def __init__(self, wish: dict[str, Any]) -> None:
        self._wish = wish
        self._chance = random.Random(wish["seed"])  # noqa: S311
        self._history = os.open(wish["history"], os.O_APPEND | os.O_WRONLY)
        self._words: SimpleQueue[Any] = SimpleQueue()
        self._is_closing = False
        signal.signal(signal.SIGTERM, self._close)

    def run(self) -> None:
        """Go from server to server until a session ends in order."""
        servers = list(self._wish["servers"])
        while True:
            self._chance.shuffle(servers)
            for address in servers:
                try:
                    with grpc.insecure_channel(address, CHANNEL) as channel:
                        self._consume(services.PaymentsStub(channel))
                except grpc.RpcError as error:
                    print(error.code(), error.details(), file=sys.stderr, flush=True)
                if self._is_closing:
                    return
                time.sleep(0.1)  # noqa: TID251  # it does not hammer

    def _close(self, *_: object) -> None:
        self._is_closing = True
        self._words.put(pb.ConsumeFulfillmentsRequest(close=pb.CloseConsumer()))

    def _consume(self, payments: Any) -> None:  # noqa: ANN401
        words: SimpleQueue[Any] = SimpleQueue()
        self._words = words
        wish = self._wish
        opening = pb.OpenConsumer(subscriber=wish["subscriber"], member_id=wish["name"], credit=wish["credit"])
        words.put(pb.ConsumeFulfillmentsRequest(open=opening))
        events: dict[bytes, str] = {}

        def requests() -> Iterator[Any]:
            while True:
                yield words.get()

        for response in payments.ConsumeFulfillments(requests(), metadata=wish.get("metadata")):
            for delivery in response.deliveries.deliveries:
                self._note("handed", delivery.event.event_id, delivery.attempt)
                if self._is_done(delivery):
                    events[delivery.ack_id] = delivery.event.event_id
                    words.put(pb.ConsumeFulfillmentsRequest(ack=pb.AckEvents(ack_ids=[delivery.ack_id])))
                else:
                    nack = pb.NackEvents(ack_ids=[delivery.ack_id], reason="no")
                    nack.delay.FromMilliseconds(self._chance.choice([0, 50, 200]))
                    words.put(pb.ConsumeFulfillmentsRequest(nack=nack))
            for ack_id in response.ack_results.accepted:
                if ack_id in events:
                    self._note("accepted", events.pop(ack_id))

    def _is_done(self, delivery: Any) -> bool:  # noqa: ANN401
        """Work on an event."""
        time.sleep(self._wish["work"])  # noqa: TID251  # it is what takes a member its time
        event, poison = delivery.event.event_id, self._wish["poison"]
        if (poison and int(event[-8:]) % poison == 0) or self._chance.random() < self._wish["nacks"]:
            return False
        self._note("effect", event)
        return True

    def _note(self, *what: object) -> None:
        line = json.dumps([self._wish["name"], *what]) + "\n"
        os.write(self._history, line.encode())


if __name__ == "__main__":
    assert Path(WISH["stubs"]) in Path(pb.__file__).parents, "the stubs are those of the contract alone"
    ContractMember(WISH).run()
