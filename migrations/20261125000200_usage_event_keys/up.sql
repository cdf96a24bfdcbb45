-- A backend that got no answer sends its usage again, and the seed then counts it twice. An event may carry a key that is unique for
-- each user for ever; the row itself tells whether what comes under a used key is the same event. `occurred_at_given` says whether
-- `created_at` was told by the sender: one who leaves it out twice means the same event, whatever the time.
--
-- A page of a person's usage is a walk along an index: `idx_user_usage_metrics_user_id` takes in the order.
--
-- Locks: writes to `user_usage_metrics` wait for two index builds.

SET LOCAL lock_timeout = '5s';

ALTER TABLE user_usage_metrics
    ADD COLUMN idempotency_key TEXT,
    ADD COLUMN occurred_at_given BOOLEAN NOT NULL DEFAULT false;

CREATE UNIQUE INDEX user_usage_metrics_user_id_idempotency_key_key ON user_usage_metrics (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE INDEX idx_user_usage_metrics_user_id_keyset ON user_usage_metrics (user_id, created_at DESC, id DESC);
DROP INDEX idx_user_usage_metrics_user_id;
ALTER INDEX idx_user_usage_metrics_user_id_keyset RENAME TO idx_user_usage_metrics_user_id;
