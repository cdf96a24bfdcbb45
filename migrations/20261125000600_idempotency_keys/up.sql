-- Who got no answer to a POST that makes a bill or a hold sends it again. The key, who sent it, a digest of what was asked and the
-- answer are written in the transaction that has the effect: after a crash either all of it is there or nothing. A caller's keys
-- are their own. Rows older than three days are cleared away by those that come.

CREATE TABLE idempotency_keys (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    answer TEXT,
    created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, key)
);

CREATE INDEX idx_idempotency_keys_created_at ON idempotency_keys (created_at);
