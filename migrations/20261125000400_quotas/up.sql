-- A budget is kept only if what is about to be used is counted with what was used. `usage_reservations` holds amounts until the
-- actual usage is known; a hold that is past `expires_at` counts for nothing, so none has to be taken back. `user_quotas` has the
-- limits that an administrator gave a user of their own: no row means the tier's limit, no amount means no limit.

CREATE TABLE user_quotas (
    user_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    amount NUMERIC(30,10),

    CONSTRAINT user_quotas_pkey PRIMARY KEY (user_id, metric),
    CONSTRAINT user_quotas_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT valid_metric CHECK (metric IN ('requests', 'tokens', 'cost')),
    CONSTRAINT valid_amount CHECK (amount >= 0)
);

CREATE TABLE usage_reservations (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    feature_type TEXT,
    request_count INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    total_cost NUMERIC(20,10) NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ(3) NOT NULL,
    ended_at TIMESTAMPTZ(3),
    usage_id TEXT,

    CONSTRAINT usage_reservations_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT usage_reservations_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT future_expiry CHECK (expires_at > created_at)
);

-- What is held now.
CREATE INDEX idx_usage_reservations_held ON usage_reservations (user_id, expires_at) WHERE ended_at IS NULL;
