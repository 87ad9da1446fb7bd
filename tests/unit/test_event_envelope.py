"""Any bytes are an event that can be stored, or a refusal; the ids that an event names are found."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.inbox.event_envelope import InvalidEventError, read_event
from payments_service.orders.states import StripeEventState
from payments_service.storage.receipt_rows import NewStripeEvent

NOW = datetime(2026, 11, 24, tzinfo=UTC)
Json = dict[str, Any]
EVENT: Json = {
    "id": "evt_1",
    "object": "event",
    "api_version": "2026-10-28.endive",
    "account": "acct_1",
    "created": 1_790_000_000,
    "data": {"object": {"id": "cs_test_1", "object": "checkout.session"}},
    "livemode": True,
    "type": "checkout.session.completed",
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def read(**changes: object) -> NewStripeEvent:
    return read_event(json.dumps(EVENT | changes).encode(), NOW)


def ids_of(**stripe_object: object) -> tuple[str | None, ...]:
    event = read(data={"object": stripe_object})
    return event.payment_intent_id, event.charge_id, event.invoice_id, event.subscription_id


def test_an_event_is_read_as_it_will_be_stored() -> None:
    payload = json.dumps(EVENT).encode()

    assert read_event(payload, NOW, "reconciler") == NewStripeEvent(
        stripe_event_id="evt_1",
        type="checkout.session.completed",
        stripe_account="acct_1",
        livemode=True,
        api_version="2026-10-28.endive",
        payload=payload,
        object_id="cs_test_1",
        payment_intent_id=None,
        charge_id=None,
        invoice_id=None,
        subscription_id=None,
        source="reconciler",
        state=StripeEventState.PENDING,
        stripe_create_time=datetime.fromtimestamp(1_790_000_000, UTC),
        receive_time=NOW,
    )


def test_what_stripe_leaves_out_or_null_is_empty() -> None:
    event = read(account=None, api_version=None, data={"object": {"object": "invoice", "subscription": None}})

    assert (event.stripe_account, event.api_version, event.object_id) == ("", "", "")
    assert event.invoice_id is None


@pytest.mark.parametrize(
    ("stripe_object", "ids"),
    [
        ({"object": "checkout.session", "payment_intent": "pi_1", "invoice": "in_1", "subscription": "sub_1"},
         ("pi_1", None, "in_1", "sub_1")),
        ({"object": "refund", "id": "re_1", "payment_intent": "pi_1", "charge": "ch_1"}, ("pi_1", "ch_1", None, None)),
        ({"object": "refund", "charge": {"id": "ch_1", "object": "charge"}}, (None, "ch_1", None, None)),
        ({"object": "payment_intent", "id": "pi_1"}, ("pi_1", None, None, None)),
        ({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}, ("pi_1", "ch_1", None, None)),
        ({"object": "subscription", "id": "sub_1"}, (None, None, None, "sub_1")),
        ({"object": "invoice", "id": "in_1", "subscription": "sub_1", "payment_intent": "pi_1", "charge": "ch_1"},
         ("pi_1", "ch_1", "in_1", "sub_1")),
        ({"object": "invoice", "id": "in_1", "parent": {"subscription_details": {"subscription": "sub_1"}},
          "payments": {"data": [{"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]}},
         ("pi_1", None, "in_1", "sub_1")),
        ({"object": "invoice_payment", "invoice": "in_1", "payment": {"payment_intent": "pi_1"}},
         ("pi_1", None, "in_1", None)),
        ({"object": "refund", "payment_intent": 7, "charge": {"id": []}, "invoice": "\ud800", "payments": {"data": 1}},
         (None, None, None, None)),
    ],
)  # fmt: skip
def test_the_ids_that_an_object_names_are_found(stripe_object: Json, ids: tuple[str | None, ...]) -> None:
    assert ids_of(**stripe_object) == ids


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object": "v2.core.event"}, "snapshot"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": "e" * 256}, "id"),
        ({"id": "evt 1"}, "id"),
        ({"id": "evt_\x00"}, "id"),
        ({"id": 1}, "id"),
        ({"type": None}, "type"),
        ({"account": 5}, "account"),
        ({"livemode": "true"}, "livemode"),
        ({"created": None}, "created"),
        ({"created": True}, "created"),
        ({"created": 1.5}, "created"),
        ({"created": -1}, "created"),
        ({"created": 10**400}, "created"),
        ({"data": None}, "data"),
        ({"data": {}}, "data.object"),
        ({"data": {"object": []}}, "data.object"),
    ],
)
def test_an_envelope_that_the_service_cannot_rely_on_is_refused(changes: Json, message: str) -> None:
    with pytest.raises(InvalidEventError, match=message):
        read(**changes)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"{", b"[]", b"null", b'{"a": NaN}', b'{"a": -Infinity}', b"[" * 100_000, b'{"a":' * 100_000,
     b"9" * 10_000, b"\xef\xbb\xbf{}"],
    ids=lambda payload: str(payload[:12]),
)  # fmt: skip
def test_what_is_no_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidEventError):
        read_event(payload, NOW)


def read_or_refuse(payload: bytes) -> NewStripeEvent | InvalidEventError:
    try:
        return read_event(payload, NOW)
    except InvalidEventError as error:
        return error


@given(st.binary())
def test_any_bytes_are_an_event_or_refused(payload: bytes) -> None:
    assert isinstance(read_or_refuse(payload), NewStripeEvent | InvalidEventError)


@given(json_values)
def test_any_json_is_an_event_or_refused(value: object) -> None:
    assert isinstance(read_or_refuse(json.dumps(value).encode()), NewStripeEvent | InvalidEventError)


@given(st.dictionaries(st.sampled_from(sorted(EVENT)), json_values), json_values)
def test_any_change_to_an_event_leaves_an_event_or_is_refused(changes: Json, value: object) -> None:
    outcome = read_or_refuse(json.dumps(EVENT | {"data": {"object": {"payment_intent": value}}} | changes).encode())

    assert isinstance(outcome, NewStripeEvent | InvalidEventError)
    if isinstance(outcome, NewStripeEvent):
        texts = [outcome.stripe_event_id, outcome.type, outcome.stripe_account, outcome.object_id]
        assert all(text.isascii() and text.isprintable() for text in texts)
