"""Reads a webhook's verified body: what it is, which Stripe objects it names, or why it is no event; it calls nobody.

Strict where the service relies on a value, and silent about the rest: Stripe adds fields without notice.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

from payments_service.errors import PaymentsError
from payments_service.orders.states import StripeEventState
from payments_service.storage.receipt_rows import NewStripeEvent

Source = Literal["webhook", "reconciler"]
NAME = re.compile(r"[!-~]{1,255}")
"""What ids, types and versions are written in; anything else is not stored as one."""
EARLIEST, LATEST = datetime(2010, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_KINDS = ("payment_intent", "charge", "invoice", "subscription")
Json = Mapping[str, Any]


class InvalidEventError(PaymentsError):
    """Raised when a body is no Stripe event; the message says what is wrong with it, and quotes nothing of it."""

    reason = "INVALID_EVENT"


def read_event(payload: bytes, receive_time: datetime, source: Source = "webhook") -> NewStripeEvent:
    """Make the row of an event; raises InvalidEventError, and nothing else, whatever the bytes are."""
    body = _object(_decode(payload), "the body")
    if body.get("object") != "event":
        raise InvalidEventError(
            'The body is not an event object ("object": "event"): let the webhook endpoint send snapshot events.'
        )
    data = _object(_object(body.get("data"), "data").get("object"), "data.object")
    named = {kind: _named(data, kind) for kind in _KINDS}
    return NewStripeEvent(
        stripe_event_id=_name(body, "id"),
        type=_name(body, "type"),
        stripe_account=_optional_name(body, "account"),
        livemode=_livemode(body),
        api_version=_optional_name(body, "api_version"),
        payload=payload,
        object_id=_id(data) or "",
        payment_intent_id=named["payment_intent"],
        charge_id=named["charge"],
        invoice_id=named["invoice"],
        subscription_id=named["subscription"],
        source=source,
        state=StripeEventState.PENDING,
        stripe_create_time=_created(body),
        receive_time=receive_time,
    )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


# Python alone takes NaN and Infinity for JSON.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def _decode(payload: bytes) -> object:
    try:
        return _decoder.decode(payload.decode())
    except UnicodeDecodeError as error:
        raise InvalidEventError("The body is not UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidEventError("The body is not JSON, or JSON nested too deeply.") from error


def _object(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise InvalidEventError(f"There is no JSON object at {what}.")
    return value


def _name(body: Json, field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidEventError(f"{field} is not a text of 1 to 255 printable ASCII characters.")
    return value


def _optional_name(body: Json, field: str) -> str:
    return "" if body.get(field) is None else _name(body, field)


def _livemode(body: Json) -> bool:
    value = body.get("livemode")
    if not isinstance(value, bool):
        raise InvalidEventError("livemode is neither true nor false.")
    return value


def _created(body: Json) -> datetime:
    value = body.get("created")
    if type(value) is not int or not EARLIEST.timestamp() <= value <= LATEST.timestamp():
        raise InvalidEventError("created is not a time between 2010 and 2100, in seconds since 1970.")
    return datetime.fromtimestamp(value, UTC)


def _named(data: Json, kind: str) -> str | None:
    """Find the id of this kind that the object has or names, in the places of old and recent API versions."""
    if data.get("object") == kind:
        return _id(data)
    return next((found for holder in _holders(data) if (found := _id(holder.get(kind)))), None)


def _holders(data: Json) -> Iterator[Json]:
    yield data
    yield _mapping(_mapping(data.get("parent")).get("subscription_details"))
    yield _mapping(data.get("payment"))
    listed = _mapping(data.get("payments")).get("data")
    for payment in listed if isinstance(listed, list) else []:
        yield _mapping(_mapping(payment).get("payment"))


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _id(value: object) -> str | None:
    """Take an id, or the id of an expanded object; what is no id of Stripe's is not there."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and NAME.fullmatch(found) else None
