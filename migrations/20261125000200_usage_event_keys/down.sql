SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_user_usage_metrics_user_id_alone ON user_usage_metrics (user_id);
DROP INDEX idx_user_usage_metrics_user_id;
ALTER INDEX idx_user_usage_metrics_user_id_alone RENAME TO idx_user_usage_metrics_user_id;

DROP INDEX user_usage_metrics_user_id_idempotency_key_key;
ALTER TABLE user_usage_metrics
    DROP COLUMN occurred_at_given,
    DROP COLUMN idempotency_key;
