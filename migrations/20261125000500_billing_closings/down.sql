SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_billing_history_created_at_alone ON billing_history (created_at);
DROP INDEX idx_billing_history_created_at;
ALTER INDEX idx_billing_history_created_at_alone RENAME TO idx_billing_history_created_at;

CREATE INDEX idx_billing_history_status_alone ON billing_history (status);
DROP INDEX idx_billing_history_status;
ALTER INDEX idx_billing_history_status_alone RENAME TO idx_billing_history_status;

CREATE INDEX idx_billing_history_user_id_alone ON billing_history (user_id);
DROP INDEX idx_billing_history_user_id;
ALTER INDEX idx_billing_history_user_id_alone RENAME TO idx_billing_history_user_id;

DROP TABLE billing_closings;
