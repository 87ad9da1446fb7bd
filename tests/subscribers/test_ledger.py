"""What a session's ledger decides by itself: floors, what is out, late answers, shards that are to be left."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1 import fulfillment_stream_pb2 as pb
from payments_service.contract.pb.payments.v1.fulfillment_event_pb2 import FulfillmentEvent
from payments_service.event_log.ack_id import AckId, decode_ack_id, encode_ack_id
from payments_service.event_log.consumer_ledger import ConsumerLedger
from payments_service.event_log.consumer_turn import ANSWERED_BEFORE, Turn
from payments_service.event_log.delivery_bytes import deliveries_response, delivery_bytes, event_body
from payments_service.event_log.delivery_credit import DeliveryCredit
from payments_service.event_log.ledger_rules import LedgerRules, Nack
from payments_service.event_log.response_bytes import FramedEvent
from payments_service.event_log.shard_assignment import assign, shard_of
from payments_service.event_log.shard_floor import ShardFloor, decode_positions, encode_positions
from payments_service.storage.log_frames import frame_event
from payments_service.storage.shard_rows import ClaimedShard

LATER = Nack("no", 60.0, park=False)


def event(position: int, order: str = "ord_1", size: int = 10) -> FramedEvent:
    return FramedEvent(position, "org_1", "course", 1, order, b"f" * size)


def ledger(*, shards: int = 1, credit: int = 100, most_ahead: int = 1000, most_bytes: int = 10_000) -> ConsumerLedger:
    rules = LedgerRules(shards, 10, lambda _: 1.0, most_ahead)
    made = ConsumerLedger(rules, DeliveryCredit(credit, most_bytes), lambda _: True)
    made.gain(ClaimedShard(shard, 1, 0, b"", 0) for shard in range(shards))
    return made


def turn(of: ConsumerLedger, now: float = 0.0) -> Turn:
    taken = of.turn(now, with_floors=True)
    assert taken is not None
    of.settled(taken)
    return taken


def handed(of: ConsumerLedger, taken: Turn) -> list[bytes]:
    return [encode_ack_id(of.ack_id(out)) for out in taken.handed_out]


def positions(taken: Turn) -> list[int]:
    return [out.event.position for out in taken.handed_out]


def test_a_blocked_order_holds_no_floor_back() -> None:
    books = ledger()
    books.take([event(1)], 0.0)
    (first,) = handed(books, turn(books))
    books.nack(first, LATER, 0.0)
    books.take([event(2), event(3, "ord_2")], 0.0)
    taken = turn(books)
    assert positions(taken) == [3]
    assert taken.places[0].acked_through == 2
    assert [(setting.position, setting.state) for setting, _ in taken.put_aside] == [(1, "RETRY"), (2, "BLOCKED")]


def test_what_waits_behind_a_retry_that_is_out_holds_no_floor_back() -> None:
    books = ledger()
    books.take([event(1)], 0.0)
    (first,) = handed(books, turn(books))
    books.nack(first, Nack("no", 0.0, park=False), 0.0)
    assert positions(turn(books)) == [1]
    books.take([event(2)], 0.0)
    assert turn(books).places[0].acked_through == 2


def test_a_stuck_event_is_put_aside_before_too_much_is_remembered_beyond_it() -> None:
    books = ledger(most_ahead=2)
    books.take([event(number, f"ord_{number}") for number in range(1, 6)], 0.0)
    stuck, *others = handed(books, turn(books))
    for ack_id in others:
        books.ack(ack_id, 0.0)
    taken = turn(books)
    assert [setting.position for setting, _ in taken.put_aside] == [1]
    assert taken.places[0].acked_through == 5
    books.ack(stuck, 0.0)
    assert turn(books).taken_out == [(0, 1)]


def test_a_shard_is_left_when_nothing_of_it_is_out() -> None:
    books = ledger()
    books.take([event(1), event(2, "ord_2")], 0.0)
    one, two = handed(books, turn(books))
    books.leave([0])
    books.ack(one, 0.0)
    turn(books)
    assert books.released() == []
    books.ack(two, 0.0)
    assert books.released() == []
    turn(books)
    assert books.released() == [0]


def test_nothing_new_is_handed_out_of_a_shard_that_is_to_be_left_until_it_is_kept_after_all() -> None:
    books = ledger()
    books.take([event(1)], 0.0)
    books.leave([0])
    assert books.turn(0.0, with_floors=False) is None
    books.leave([])
    assert positions(turn(books)) == [1]


def test_what_was_nacked_in_a_shard_that_was_to_be_left_comes_again_where_it_is_kept_after_all() -> None:
    books = ledger()
    books.take([event(1)], 0.0)
    (ack_id,) = handed(books, turn(books))
    books.leave([0])
    books.nack(ack_id, LATER, 0.0)
    turn(books)
    books.leave([])
    assert books.turn(1.0, with_floors=False) is None
    assert books.queue.next_due == 60.0
    assert positions(turn(books, 60.0)) == [1]


def test_of_an_order_only_the_first_that_is_open_may_have_been_out_at_the_holder_before() -> None:
    books = ConsumerLedger(LedgerRules(1, 1, lambda _: 1.0), DeliveryCredit(9, 9_999), lambda _: True)
    books.gain([ClaimedShard(0, 2, 0, b"", 3)])
    books.take([event(1), event(2), event(3, "ord_2")], 0.0)
    taken = turn(books)
    assert [(setting.position, setting.state) for setting, _ in taken.put_aside] == [(1, "PARKED"), (3, "PARKED")]
    assert positions(taken) == [2]


def test_the_same_answer_twice_is_taken_and_another_is_not() -> None:
    books = ledger()
    books.take([event(1)], 0.0)
    (ack_id,) = handed(books, turn(books))
    books.ack(ack_id, 0.0)
    books.ack(ack_id, 0.0)
    books.nack(ack_id, LATER, 0.0)
    taken = turn(books)
    assert taken.accepted == [(0, ack_id), (0, ack_id)]
    assert taken.failed == [(ack_id, ANSWERED_BEFORE)]
    assert not taken.put_aside


def test_what_the_holder_before_had_out_counts_as_an_attempt_and_the_rest_does_not() -> None:
    books = ConsumerLedger(LedgerRules(1, 10, lambda _: 1.0), DeliveryCredit(9, 9_999), lambda _: True)
    books.gain([ClaimedShard(0, 2, 0, encode_positions(0, [2]), 4)])
    books.take([event(1), event(2, "ord_2"), event(3), event(4, "ord_3"), event(5, "ord_4")], 0.0)
    attempts = {out.event.position: out.attempt for out in turn(books).handed_out}
    assert attempts == {1: 2, 4: 2, 5: 1}


def test_a_large_event_comes_when_nothing_else_is_out() -> None:
    books = ledger(most_bytes=100)
    books.take([event(1), event(2, "ord_2", size=500)], 0.0)
    taken = turn(books)
    assert positions(taken) == [1]
    books.ack(handed(books, taken)[0], 0.0)
    assert positions(turn(books)) == [2]


def test_an_event_comes_again_when_it_is_due_and_not_before() -> None:
    books = ledger()
    books.take([event(1)], 0.0)
    (ack_id,) = handed(books, turn(books))
    books.nack(ack_id, LATER, 0.0)
    assert positions(turn(books, 59.0)) == []
    assert positions(turn(books, 60.0)) == [1]


@given(st.sets(st.integers(1, 10_000), max_size=200), st.integers(0, 10_000))
def test_positions_are_read_as_they_were_written(found: set[int], floor: int) -> None:
    above = sorted(position + floor for position in found)
    assert decode_positions(floor, encode_positions(floor, above)) == above


@given(st.lists(st.integers(1, 60), unique=True, max_size=60), st.randoms())
def test_a_floor_passes_what_is_settled_and_never_goes_back(opened: list[int], chance: Random) -> None:
    floor, settled = ShardFloor(0, b"", 0), set[int]()
    for position in sorted(opened):
        floor.open(position)
    floor.examined = 60
    chance.shuffle(opened)
    last = floor.floor
    for position in opened:
        floor.settle(position)
        settled.add(position)
        assert last <= floor.floor == min(set(opened) - settled, default=61) - 1
        last = floor.floor


@given(st.integers(1, 200), st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=12))
def test_every_shard_has_one_member_and_shares_are_even(shards: int, members: set[str]) -> None:
    shares = assign(shards, members)
    assert sorted(shard for share in shares.values() for shard in share) == list(range(shards))
    sizes = [len(share) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 200), st.text(max_size=20))
def test_an_order_is_in_one_shard(shards: int, order: str) -> None:
    assert 0 <= shard_of(order, shards) < shards
    assert shard_of(order, shards) == shard_of(order, shards)


def test_a_member_that_comes_takes_shards_and_leaves_most_where_they_are() -> None:
    before, after = assign(64, ["a", "b", "c"]), assign(64, ["a", "b", "c", "d"])
    assert sum(len(set(before[member]) & set(after[member])) for member in "abc") >= 40


@given(st.integers(0, 65_535), st.integers(0, 2**63), st.integers(0, 2**63), st.integers(0, 2**32 - 1))
def test_an_ack_id_names_its_delivery(shard: int, position: int, epoch: int, serial: int) -> None:
    token = encode_ack_id(AckId(shard, position, epoch, serial))
    assert decode_ack_id(token) == AckId(shard, position, epoch, serial)
    assert decode_ack_id(token[:-1]) is None
    assert decode_ack_id(bytes([token[0] ^ 1]) + token[1:]) is None


@given(st.binary(max_size=40), st.integers(1, 1000), st.text(max_size=300))
def test_deliveries_are_written_as_protobuf_would(ack_id: bytes, attempt: int, text: str) -> None:
    body = FulfillmentEvent(event_id="fev_1", organization_id=text).SerializeToString()
    framed = FramedEvent(1, "", "", 1, "", frame_event(body, b"c" * 37))
    response = pb.ConsumeFulfillmentsResponse.FromString(
        deliveries_response([delivery_bytes(ack_id, framed, attempt), delivery_bytes(ack_id, framed, attempt)])
    )
    (delivery, same) = response.deliveries.deliveries
    assert delivery == same
    assert (delivery.ack_id, delivery.attempt) == (ack_id, attempt)
    assert (delivery.event.organization_id, delivery.event.cursor) == (text, b"c" * 37)
    assert event_body(framed) == body
