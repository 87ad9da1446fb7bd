-- What PostgreSQL is asked for one order, from its webhook to FULFILLED in the log: statements, transactions and sizes are
-- the service's. The bridge stores many events with one statement, and the sequencer may take many orders' events at once;
-- here each order pays for its own.
SELECT nextval('order_path') AS n \gset
-- bridge
INSERT INTO stripe_events
  (stripe_event_id, type, stripe_account, livemode, api_version, payload, object_id, payment_intent_id, source, state, deliveries,
   stripe_create_time, receive_time, next_attempt_time)
VALUES ('evt_' || :n, 'checkout.session.completed', '', false, '2026-10-28.endive', decode(repeat('ab', 3500), 'hex'), 'cs_' || :n,
        'pi_' || :n, 'webhook', 1, 1, now(), now(), statement_timestamp())
ON CONFLICT (stripe_event_id) DO UPDATE SET deliveries = stripe_events.deliveries + excluded.deliveries
RETURNING stripe_event_id, state, deliveries;
-- apply: the claim
UPDATE stripe_events
SET attempts = attempts + 1, claim_epoch = claim_epoch + 1, lease_expire_time = statement_timestamp() + make_interval(secs => 15)
WHERE stripe_event_id = 'evt_' || :n AND state IN (1, 6) AND next_attempt_time <= statement_timestamp()
  AND (lease_expire_time IS NULL OR lease_expire_time < statement_timestamp())
RETURNING *;
-- apply: the transaction
BEGIN;
SELECT * FROM orders WHERE order_id = 'ord_' || :n FOR UPDATE;
INSERT INTO fulfillments
  (fulfillment_id, order_id, organization_id, purchase_type, source_id, state, result, amount_minor_units, currency_code,
   payment_intent_id, create_time, update_time, next_attempt_time)
VALUES ('ful_' || :n, 'ord_' || :n, 'org_1', 'course', 'cs_' || :n, 1, '{}', 4900, 'eur', 'pi_' || :n, now(), now(),
        statement_timestamp())
ON CONFLICT DO NOTHING RETURNING *;
UPDATE stripe_events SET next_attempt_time = statement_timestamp() WHERE payment_intent_id = 'pi_' || :n AND state = 6;
UPDATE orders
SET facts = json_build_object('session', repeat('x', 400)), payment_state = 3, fulfillment_state = 1, total_minor_units = 4900,
    currency_code = 'eur', payment_intent_id = 'pi_' || :n, version = version + 1, update_time = now()
WHERE order_id = 'ord_' || :n RETURNING *;
INSERT INTO event_outbox (event_id, organization_id, ordering_key, order_version, purchase_type, type, body, occur_time)
VALUES ('fev_a' || :n, 'org_1', 'ord_' || :n, 1, 'course', 2, decode(repeat('ab', 500), 'hex'), now());
UPDATE stripe_events
SET lease_expire_time = NULL, state = 2, verdict_reason = 'folded into its order', order_id = 'ord_' || :n, organization_id = 'org_1',
    last_error = '', settle_time = now(), next_attempt_time = NULL
WHERE stripe_event_id = 'evt_' || :n AND claim_epoch = 1;
COMMIT;
-- fulfill: the claim
UPDATE fulfillments
SET attempts = attempts + 1, claim_epoch = claim_epoch + 1, lease_expire_time = statement_timestamp() + make_interval(secs => 15)
WHERE fulfillment_id = 'ful_' || :n AND (state = 1 OR revoke_due) AND next_attempt_time <= statement_timestamp()
  AND (lease_expire_time IS NULL OR lease_expire_time < statement_timestamp())
RETURNING *;
-- fulfill: the transaction
BEGIN;
SELECT * FROM orders WHERE order_id = 'ord_' || :n FOR UPDATE;
INSERT INTO entitlements
  (order_id, organization_id, user_id, resource, purchase_type, quantity, grant_time, grace_days)
VALUES ('ord_' || :n, 'org_1', 'user_1', 'course/intro-to-sql', 'course', 1, now(), 3)
ON CONFLICT (order_id) DO UPDATE SET quantity = excluded.quantity, expire_time = excluded.expire_time, revoke_time = NULL;
UPDATE fulfillments
SET lease_expire_time = NULL, next_attempt_time = NULL, state = 3, last_error = '', update_time = now(), result = '{}'
WHERE fulfillment_id = 'ful_' || :n AND claim_epoch = 1;
SELECT * FROM fulfillments WHERE order_id = 'ord_' || :n ORDER BY create_time DESC, fulfillment_id DESC LIMIT 10000;
SELECT * FROM refunds WHERE order_id = 'ord_' || :n ORDER BY create_time DESC, refund_id DESC;
SELECT * FROM entitlements WHERE order_id = 'ord_' || :n;
UPDATE orders SET fulfillment_state = 3, version = version + 1, update_time = now() WHERE order_id = 'ord_' || :n RETURNING *;
INSERT INTO event_outbox (event_id, organization_id, ordering_key, order_version, purchase_type, type, body, occur_time)
VALUES ('fev_b' || :n, 'org_1', 'ord_' || :n, 2, 'course', 4, decode(repeat('ab', 600), 'hex'), now());
COMMIT;
-- sequence
SELECT sequence_events(250);
