"""The proto files are the manual: each thing in them is explained, and each RPC names the reasons of its errors."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

PROTO = Path(__file__).resolve().parent.parent.parent / "proto"
# Those of the table in ../shared/contract/runtime.md, and what was added to it.
_TABLE = """
    INVALID_REQUEST UNAUTHENTICATED CALLER_NOT_ALLOWED ORDER_NOT_FOUND FULFILLMENT_NOT_FOUND STRIPE_EVENT_NOT_FOUND
    SUBSCRIBER_NOT_FOUND REQUEST_ID_REUSED SUBSCRIBER_EXISTS CHECKOUT_NOT_OPEN NOTHING_TO_REFUND
    REFUND_EXCEEDS_PAYMENT NOT_A_SUBSCRIPTION FULFILLMENT_NOT_AWAITED GENERATION_MISMATCH STRIPE_REJECTED
    STRIPE_RATE_LIMITED STRIPE_UNAVAILABLE STRIPE_OUTCOME_UNKNOWN STRIPE_MISCONFIGURED STORAGE_UNAVAILABLE
    CURSOR_INVALID START_REQUIRED CURSOR_EXPIRED CURSOR_DIVERGED CURSOR_AHEAD SLOW_CONSUMER DRAINING LEASE_LOST
    NOT_BUILT_YET INTERNAL MEMBER_REPLACED
"""
REASONS = frozenset(_TABLE.split())
Comments = dict[str, str]
Place = tuple[int, ...]
Thing = tuple[Place, str]


class Named(Protocol):
    """A field, a oneof, an enum value or a method."""

    @property
    def name(self) -> str:
        """What it is called."""


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> Comments:
    """Give the comment of each message, field, oneof, enum, value, service and RPC, by its full name."""
    output = tmp_path_factory.mktemp("contract") / "contract.pb"
    sources = [str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto")]
    wanted = [f"-I{PROTO}", "--include_source_info", f"--descriptor_set_out={output}", *sources]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *wanted], check=True)
    files = FileDescriptorSet.FromString(output.read_bytes()).file
    return {name: text for file in files for name, text in _commented(file)}


def _commented(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    located = {
        tuple(place.path): place.leading_comments + place.trailing_comments for place in file.source_code_info.location
    }
    for path, name in _things(file):
        yield f"{file.package}.{name}", located.get(path, "").strip()


def _things(file: FileDescriptorProto) -> Iterator[Thing]:
    """Give the path and the name of all that a file defines, as descriptor.proto numbers them."""
    for number, message in enumerate(file.message_type):
        yield from _message((4, number), message, message.name)
    for number, enum in enumerate(file.enum_type):
        yield from _with_parts((5, number), enum.name, {2: enum.value})
    for number, service in enumerate(file.service):
        yield from _with_parts((6, number), service.name, {2: service.method})


def _message(path: Place, message: DescriptorProto, name: str) -> Iterator[Thing]:
    yield from _with_parts(path, name, {2: message.field, 8: message.oneof_decl})
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message((*path, 3, number), nested, f"{name}.{nested.name}")
    for number, enum in enumerate(message.enum_type):
        yield from _with_parts((*path, 4, number), f"{name}.{enum.name}", {2: enum.value})


def _with_parts(path: Place, name: str, parts: Mapping[int, Iterable[Named]]) -> Iterator[Thing]:
    yield path, name
    for tag, members in parts.items():
        for number, member in enumerate(members):
            yield (*path, tag, number), f"{name}.{member.name}"


def test_everything_in_the_contract_is_explained(comments: Comments) -> None:
    assert len(comments) > 450
    assert [name for name, text in comments.items() if not text] == []


def test_comments_are_sentences(comments: Comments) -> None:
    assert [name for name, text in comments.items() if not re.match(r"[A-Z0-9]", text) or not text.endswith(".")] == []


def test_each_rpc_names_the_reasons_of_its_errors(comments: Comments) -> None:
    rpcs = {name: text for name, text in comments.items() if re.search(r"\.(Payments|Operations)\.\w+$", name)}
    assert len(rpcs) == 26
    silent = [
        name
        for name, text in rpcs.items()
        if not REASONS & set(re.findall(r"[A-Z_]{8,}", text)) and "No reason is specific to it." not in text
    ]
    assert silent == []


def test_no_comment_names_a_reason_that_does_not_exist(comments: Comments) -> None:
    listed = {
        reason
        for name, text in comments.items()
        if re.search(r"\.(Payments|Operations)(\.\w+)?$", name)
        for line in re.findall(r"^ ?- ([^:]*):", text, re.MULTILINE)
        for reason in re.findall(r"[A-Z]+_[A-Z_]+", re.sub(r"\([^)]*\)", "", line))
    }
    assert len(listed) > 20
    assert listed - REASONS == set()


def test_every_reason_is_told_somewhere(comments: Comments) -> None:
    told = set(re.findall(r"[A-Z_]+", " ".join(comments.values())))
    assert REASONS - told == set()


def test_lines_are_no_longer_than_120() -> None:
    long = [
        f"{path.name}:{number}"
        for path in PROTO.rglob("*.proto")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 120
    ]
    assert long == []
