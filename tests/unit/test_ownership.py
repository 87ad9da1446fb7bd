"""Whose an object is: ours by our marks alone, and never by a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments_service.orders.ownership import Owner, owner_of, read_marks
from payments_service.stripe_gateway.metadata import BUILT_IN_TYPES

ORDER_ID = "ord_" + "0a" * 16
CLAIMED = frozenset({"gift_card"})


def owner(stripe_object: dict[str, object], *, known: bool = False) -> Owner:
    return owner_of(read_marks(stripe_object), known=known, claimed_types=CLAIMED)


@pytest.mark.parametrize(
    "metadata",
    [
        {"order_id": ORDER_ID},
        {"payments_schema": "1"},
        {"type": "course", "userId": "user_1"},
        {"type": "gift_card"},
    ],
)
def test_our_marks_make_an_object_ours(metadata: dict[str, str]) -> None:
    assert owner({"object": "checkout.session", "metadata": metadata}) is Owner.OURS


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"type": "credits", "userId": "user_1"},
        {"type": "plan", "user_id": "user_1", "organization_id": "org_1"},
        {"order_id": "12345"},
        {"order_id": "ord_7"},
    ],
)
def test_what_only_looks_like_ours_is_anothers(metadata: dict[str, str]) -> None:
    assert owner({"object": "checkout.session", "metadata": metadata}) is Owner.OTHERS


@pytest.mark.parametrize("kind", ["refund", "dispute", "invoice_payment"])
def test_what_names_only_an_unknown_payment_may_yet_prove_ours(kind: str) -> None:
    assert owner({"object": kind, "metadata": {}}) is Owner.UNDECIDED
    assert owner({"object": kind, "metadata": {}}, known=True) is Owner.OURS


def test_an_invoices_metadata_is_read_where_each_api_version_puts_it() -> None:
    recent = {"object": "invoice", "parent": {"subscription_details": {"metadata": {"order_id": ORDER_ID}}}}
    older = {"object": "invoice", "subscription_details": {"metadata": {"order_id": ORDER_ID}}}

    assert read_marks(recent).order_id == read_marks(older).order_id == ORDER_ID


def test_the_sessions_client_reference_names_the_order_too() -> None:
    assert read_marks({"object": "checkout.session", "client_reference_id": ORDER_ID}).order_id == ORDER_ID


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["object", "metadata", "parent", "client_reference_id"]), json_values))
def test_no_object_of_strange_shape_is_ours_or_an_error(stripe_object: dict[str, object]) -> None:
    metadata = stripe_object.get("metadata")
    if isinstance(metadata, dict) and metadata.get("type") in BUILT_IN_TYPES:
        return

    assert owner(stripe_object) in {Owner.OTHERS, Owner.UNDECIDED}
