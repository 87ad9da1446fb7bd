"""The typed purchase travels through Stripe's metadata without loss, or is refused by field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.contract.pb.payments.v1.purchase_pb2 import (
    CoursePurchase,
    CustomPurchase,
    DigitalGoodPurchase,
    Purchase,
    ServicePurchase,
)
from payments_service.errors import InvalidRequestError
from payments_service.stripe_gateway.metadata import BUILT_IN_TYPES, decode_purchase, encode_purchase

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
filled = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
names = st.text("abcdefghijklmnopqrstuvwxyz_.-0123456789", min_size=1, max_size=20)


@st.composite
def services(draw: st.DrawFn) -> ServicePurchase:
    service = ServicePurchase(service_id=draw(texts))
    if draw(st.booleans()):
        service.scheduled_time.seconds = draw(st.integers(0, 4_000_000_000))
        service.scheduled_time.nanos = draw(st.integers(0, 999_999_999))
    return service


purchases = st.one_of(
    st.builds(CoursePurchase, course_id=texts, cohort_id=texts).map(lambda c: Purchase(course=c)),
    st.builds(DigitalGoodPurchase, sku=texts, seats=st.integers(-(2**31), 2**31 - 1)).map(
        lambda d: Purchase(digital_good=d)
    ),
    services().map(lambda s: Purchase(service=s)),
    st.builds(
        CustomPurchase,
        type=filled.filter(lambda name: name not in BUILT_IN_TYPES),
        custom_id=texts,
        attributes=st.dictionaries(names, filled, max_size=10),
    ).map(lambda c: Purchase(custom=c)),
)


def encoded(purchase: Purchase) -> dict[str, str]:
    return encode_purchase(purchase, organization_id="org_1", user_id="user_1", order_id="ord_1")


@given(purchases)
def test_decoding_gives_back_the_identical_message(purchase: Purchase) -> None:
    assert decode_purchase(encoded(purchase)) == purchase


@given(purchases)
def test_what_is_sent_keeps_to_the_limits_of_stripe(purchase: Purchase) -> None:
    metadata = encoded(purchase)

    assert len(metadata) <= 50
    assert all(len(key) <= 40 and not set(key) & set("[]") for key in metadata)
    assert all(1 <= len(value) <= 500 for value in metadata.values())


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({"x" * 30: "v"}, f"purchase.custom.attributes[{'x' * 30}]"),
        ({"a[b]": "v"}, "purchase.custom.attributes[a[b]]"),
        ({"note": "v" * 501}, "purchase.custom.attributes[note]"),
        ({"note": ""}, "purchase.custom.attributes[note]"),
        ({f"k{n}": "v" for n in range(60)}, "purchase"),
    ],
)
def test_what_stripe_could_not_hold_is_refused_with_the_field_named(attributes: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        encoded(Purchase(custom=CustomPurchase(type="gift_card", attributes=attributes)))

    assert field in [violation.field for violation in refused.value.violations]


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"purchase.course_id": "c"}, "type"),
        ({"type": "course", "purchase.coarse_id": "c"}, "purchase.coarse_id"),
        ({"type": "digital_good", "purchase.seats": "many"}, "purchase.seats"),
        ({"type": "service", "purchase.scheduled_time": "soon"}, "purchase.scheduled_time"),
        ({"type": "gift_card", "purchase.type": "course"}, "purchase.type"),
        ({"type": "gift_card", "purchase.attributes": "x"}, "purchase.attributes"),
    ],
)
def test_broken_metadata_is_never_guessed_at(metadata: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        decode_purchase(metadata)

    assert [violation.field for violation in refused.value.violations] == [field]
