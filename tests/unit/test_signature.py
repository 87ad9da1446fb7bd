"""Only bytes that Stripe signed lately get in; Stripe's own SDK is the judge of both directions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import WebhookSignature

from payments_service.stripe_gateway.signature import SignatureError, sign_payload, verify_signature

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRETS = ("whsec_old", "whsec_new")


def stripes_header(payload: bytes, secret: str = "whsec_new", age: float = 0) -> str:
    header: str = WebhookSignature.generate_signature_header(
        payload.decode(), secret, timestamp=int((NOW - timedelta(seconds=age)).timestamp())
    )
    return header


@pytest.mark.parametrize("secret", SECRETS)
def test_any_of_several_secrets_is_accepted(secret: str) -> None:
    verify_signature(b"{}", stripes_header(b"{}", secret), SECRETS, NOW)


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_a_signature_within_five_minutes_is_accepted(age: int) -> None:
    verify_signature(b"{}", stripes_header(b"{}", age=age), SECRETS, NOW)


@pytest.mark.parametrize("age", [-301, 301, 100_000])
def test_an_older_or_a_future_signature_is_refused(age: int) -> None:
    with pytest.raises(SignatureError, match="clock"):
        verify_signature(b"{}", stripes_header(b"{}", age=age), SECRETS, NOW)


@pytest.mark.parametrize(
    ("age", "told", "skew"),
    [
        (360, "signed 360 s ago by this host's clock, which is ahead", "360"),
        (-399, "signed 399 s from now by this host's clock, which is behind", "-399"),
    ],
)
def test_a_wrong_clock_is_named_with_its_skew(age: int, told: str, skew: str) -> None:
    with pytest.raises(SignatureError, match=told) as refused:
        verify_signature(b"{}", stripes_header(b"{}", age=age), SECRETS, NOW)

    assert refused.value.metadata == {"clock_skew_seconds": skew}


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=aa", "t=x,v1=aa", "t=1,t=2,v1=aa", "t=1,v0=aa", "t=1,v1=ä", "t=٣,v1=a"]
)
def test_a_missing_or_malformed_header_is_refused(header: str) -> None:
    with pytest.raises(SignatureError, match="header"):
        verify_signature(b"{}", header, SECRETS, NOW)


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(SignatureError):
        verify_signature(b"{}", sign_payload(b"{}", "", NOW), ("",), NOW)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_flipped_byte_is_refused(payload: bytes, data: st.DataObject) -> None:
    header = sign_payload(payload, "whsec_new", NOW)
    at = data.draw(st.integers(0, len(payload) - 1))
    forged = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]

    with pytest.raises(SignatureError, match="No signature matches"):
        verify_signature(forged, header, SECRETS, NOW)


def test_the_sdk_accepts_what_we_sign() -> None:
    header = sign_payload(b'{"id": "evt_1"}', "whsec_new", datetime.now(UTC))

    assert WebhookSignature.verify_header('{"id": "evt_1"}', header, "whsec_new", tolerance=60)
