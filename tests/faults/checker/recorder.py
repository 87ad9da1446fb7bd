"""A subscriber in a process of its own: it writes down every event that it is sent, and comes back when it is cut off.

Its stubs come from the owner's contract by protoc, when it starts. Run as
`python recorder.py CONTRACT_FOLDER SCRATCH_FOLDER TARGET HISTORY_FILE`.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from grpc_tools import protoc

PROTO = "payments/v1/payments.proto"


def stubs(contract: Path, scratch: Path) -> tuple[Any, Any]:
    """Make the stubs of the contract and import them."""
    well_known = Path(protoc.__file__).parent / "_proto"
    options = [f"-I{contract}", f"-I{well_known}", f"--python_out={scratch}", f"--grpc_python_out={scratch}"]
    assert protoc.main(["protoc", *options, PROTO]) == 0
    sys.path.insert(0, str(scratch))
    return importlib.import_module("payments.v1.payments_pb2"), importlib.import_module("payments.v1.payments_pb2_grpc")


def record(messages: Any, services: Any, target: str, history: Path) -> None:  # noqa: ANN401
    """Follow the stream for ever, each time strictly after the last cursor."""
    cursor = b""
    with history.open("a", buffering=1) as file:
        while True:
            try:
                with grpc.insecure_channel(target) as channel:
                    start = {"cursor": cursor} if cursor else {"earliest": True}
                    request = messages.StreamFulfillmentsRequest(start=messages.StartPosition(**start))
                    request.heartbeat_interval.seconds = 1
                    stub = services.PaymentsStub(channel)
                    for response in stub.StreamFulfillments(request, wait_for_ready=True):
                        for event in response.events:
                            file.write(json.dumps(_told(messages, event)) + "\n")
                        cursor = response.cursor or cursor
            except grpc.RpcError as error:
                print(error.code(), error.details(), file=sys.stderr, flush=True)
                time.sleep(0.1)  # noqa: TID251  # a subscriber that is refused does not hammer


def _told(messages: Any, event: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "event_id": event.event_id,
        "type": messages.FulfillmentEvent.Type.Name(event.type),
        "order_id": event.order_id,
        "order_version": event.order_version,
        "cursor": event.cursor.hex(),
        "fulfillment_id": event.fulfillment.fulfillment_id,
        "at": time.time(),
    }


if __name__ == "__main__":
    contract_folder, scratch_folder, address, file_name = sys.argv[1:]
    record(*stubs(Path(contract_folder), Path(scratch_folder)), address, Path(file_name))
