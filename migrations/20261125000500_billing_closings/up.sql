-- The close of a month makes one bill for each user, and must not make a second one when it is run again after a crash: what was
-- closed is a fact of its own, unique by user and month. `total_cost` is the exact sum of which the bill has the cents; a sum that
-- rounds to nothing has no bill.
--
-- Pages of the ledger are walks along an index: those of one person and those of one status take in the order.

CREATE TABLE billing_closings (
    user_id TEXT NOT NULL,
    month DATE NOT NULL,
    billing_id TEXT,
    total_cost NUMERIC(30,10) NOT NULL,
    closed_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT billing_closings_pkey PRIMARY KEY (user_id, month),
    CONSTRAINT billing_closings_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_billing_history_user_id_keyset ON billing_history (user_id, created_at DESC, id DESC);
DROP INDEX idx_billing_history_user_id;
ALTER INDEX idx_billing_history_user_id_keyset RENAME TO idx_billing_history_user_id;

CREATE INDEX idx_billing_history_status_keyset ON billing_history (status, created_at DESC, id DESC);
DROP INDEX idx_billing_history_status;
ALTER INDEX idx_billing_history_status_keyset RENAME TO idx_billing_history_status;

CREATE INDEX idx_billing_history_created_at_keyset ON billing_history (created_at DESC, id DESC);
DROP INDEX idx_billing_history_created_at;
ALTER INDEX idx_billing_history_created_at_keyset RENAME TO idx_billing_history_created_at;
