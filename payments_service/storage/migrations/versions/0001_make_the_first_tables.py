"""Make the first tables."""

import sqlalchemy as sa
from alembic import op

from payments_service.storage.column_types import BigSerial, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the schema one revision up."""
    op.create_table(
        "entitlements",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("purchase_type", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("grant_time", UtcTime(), nullable=False),
        sa.Column("expire_time", UtcTime(), nullable=True),
        sa.Column("grace_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("access_end_time", UtcTime(), nullable=True),
        sa.Column("revoke_time", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_entitlements")),
    )
    with op.batch_alter_table("entitlements", schema=None) as batch_op:
        batch_op.create_index(
            "ix_entitlements_holder", ["organization_id", "user_id", "grant_time", "order_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_entitlements_organization_id_resource"), ["organization_id", "resource"], unique=False
        )

    op.create_table(
        "event_log",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("ordering_key", sa.Text(), nullable=False),
        sa.Column("order_version", sa.BigInteger(), nullable=False),
        sa.Column("purchase_type", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("occur_time", UtcTime(), nullable=False),
        sa.Column("sequence_time", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_event_log")),
    )
    with op.batch_alter_table("event_log", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_event_log_ordering_key_position"), ["ordering_key", "position"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_event_log_sequence_time_position"), ["sequence_time", "position"], unique=False
        )

    op.create_table(
        "event_log_head",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("log_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("trimmed_through", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_event_log_head_single_row")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_event_log_head")),
    )
    op.create_table(
        "event_outbox",
        sa.Column("id", BigSerial, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("ordering_key", sa.Text(), nullable=False),
        sa.Column("order_version", sa.BigInteger(), nullable=False),
        sa.Column("purchase_type", sa.Text(), nullable=False),
        sa.Column("type", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("occur_time", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "fulfillments",
        sa.Column("fulfillment_id", sa.String(length=64), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("purchase_type", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("revoke_due", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claim_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expire_time", UtcTime(), nullable=True),
        sa.Column("next_attempt_time", UtcTime(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("amount_minor_units", sa.BigInteger(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("refunded_minor_units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("payment_intent_id", sa.Text(), nullable=True),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("period_start", UtcTime(), nullable=True),
        sa.Column("period_end", UtcTime(), nullable=True),
        sa.Column("create_time", UtcTime(), nullable=False),
        sa.Column("update_time", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("fulfillment_id", name=op.f("pk_fulfillments")),
        sa.UniqueConstraint("order_id", "source_id", name=op.f("uq_fulfillments_order_id_source_id")),
    )
    with op.batch_alter_table("fulfillments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fulfillments_charge_id"), ["charge_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_fulfillments_next_attempt_time"), ["next_attempt_time"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_fulfillments_order_id_create_time_fulfillment_id"),
            ["order_id", "create_time", "fulfillment_id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_fulfillments_payment_intent_id"), ["payment_intent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_fulfillments_source_id"), ["source_id"], unique=False)

    op.create_table(
        "orders",
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("purchase_type", sa.Text(), nullable=False),
        sa.Column("purchase", sa.LargeBinary(), nullable=False),
        sa.Column("mode", sa.SmallInteger(), nullable=False),
        sa.Column("stripe_account", sa.Text(), server_default="", nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("stripe_parameters", sa.JSON(), nullable=False),
        sa.Column("creation_generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("creation_doubtful", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("creation_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("creation_lease_expire_time", UtcTime(), nullable=True),
        sa.Column("creation_first_call_time", UtcTime(), nullable=True),
        sa.Column("creation_last_call_time", UtcTime(), nullable=True),
        sa.Column("rejection", sa.JSON(), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("payment_state", sa.SmallInteger(), nullable=False),
        sa.Column("fulfillment_state", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("subscription_state", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("cancel_at_period_end", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("current_period_end", UtcTime(), nullable=True),
        sa.Column("total_minor_units", sa.BigInteger(), nullable=True),
        sa.Column("refunded_minor_units", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=True),
        sa.Column("checkout_session_id", sa.Text(), nullable=True),
        sa.Column("checkout_url", sa.Text(), nullable=True),
        sa.Column("payment_intent_id", sa.Text(), nullable=True),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("create_time", UtcTime(), nullable=False),
        sa.Column("update_time", UtcTime(), nullable=False),
        sa.Column("expire_time", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_orders")),
        sa.UniqueConstraint(
            "checkout_session_id",
            "stripe_account",
            "livemode",
            name=op.f("uq_orders_checkout_session_id_stripe_account_livemode"),
        ),
        sa.UniqueConstraint(
            "organization_id", "created_by", "request_id", name=op.f("uq_orders_organization_id_created_by_request_id")
        ),
    )
    with op.batch_alter_table("orders", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_orders_create_time_order_id"), ["create_time", "order_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_orders_organization_id_create_time_order_id"),
            ["organization_id", "create_time", "order_id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_orders_payment_intent_id"), ["payment_intent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_orders_subscription_id"), ["subscription_id"], unique=False)

    op.create_table(
        "refunds",
        sa.Column("refund_id", sa.String(length=64), nullable=False),
        sa.Column("stripe_refund_id", sa.Text(), nullable=True),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("fulfillment_id", sa.String(length=64), nullable=True),
        sa.Column("payment_intent_id", sa.Text(), nullable=True),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("request_digest", sa.LargeBinary(), nullable=True),
        sa.Column("amount_minor_units", sa.BigInteger(), nullable=False),
        sa.Column("currency_code", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("rejection", sa.JSON(), nullable=True),
        sa.Column("asking_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("asking_lease_expire_time", UtcTime(), nullable=True),
        sa.Column("asking_first_call_time", UtcTime(), nullable=True),
        sa.Column("asking_doubtful", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("create_time", UtcTime(), nullable=False),
        sa.Column("update_time", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("refund_id", name=op.f("pk_refunds")),
        sa.UniqueConstraint(
            "organization_id", "created_by", "request_id", name=op.f("uq_refunds_organization_id_created_by_request_id")
        ),
        sa.UniqueConstraint("stripe_refund_id", name=op.f("uq_refunds_stripe_refund_id")),
    )
    with op.batch_alter_table("refunds", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_refunds_order_id_create_time_refund_id"),
            ["order_id", "create_time", "refund_id"],
            unique=False,
        )

    op.create_table(
        "stripe_events",
        sa.Column("stripe_event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("stripe_account", sa.Text(), server_default="", nullable=False),
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("api_version", sa.Text(), server_default="", nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("object_id", sa.Text(), server_default="", nullable=False),
        sa.Column("payment_intent_id", sa.Text(), nullable=True),
        sa.Column("charge_id", sa.Text(), nullable=True),
        sa.Column("invoice_id", sa.Text(), nullable=True),
        sa.Column("subscription_id", sa.Text(), nullable=True),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("verdict_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("deliveries", sa.Integer(), server_default="1", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claim_epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expire_time", UtcTime(), nullable=True),
        sa.Column("next_attempt_time", UtcTime(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("stripe_create_time", UtcTime(), nullable=False),
        sa.Column("receive_time", UtcTime(), nullable=False),
        sa.Column("settle_time", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("stripe_event_id", name=op.f("pk_stripe_events")),
    )
    with op.batch_alter_table("stripe_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stripe_events_charge_id"), ["charge_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stripe_events_invoice_id"), ["invoice_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stripe_events_order_id"), ["order_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stripe_events_payment_intent_id"), ["payment_intent_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_stripe_events_receive_time_stripe_event_id"),
            ["receive_time", "stripe_event_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_stripe_events_state_next_attempt_time"), ["state", "next_attempt_time"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_stripe_events_subscription_id"), ["subscription_id"], unique=False)

    op.create_table(
        "timeline",
        sa.Column("id", BigSerial, autoincrement=True, nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("time", UtcTime(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timeline")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("timeline", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_timeline_order_id_id"), ["order_id", "id"], unique=False)
