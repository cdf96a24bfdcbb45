-- The seed's phase 1, as Prisma would create it: seven tables with Prisma's names for keys and constraints, and the
-- indexes, checks and functions that the seed document adds by hand. A database that Prisma already made is at this
-- point, so nothing here is better than the seed: each later migration improves on it and says why.
--
-- One thing could not stay: get_user_activity_summary(user_uuid UUID) fails at its first call with "operator does not
-- exist: text = uuid", because ids are TEXT. It takes TEXT here.
--
-- No schema is created: the tables go where the connection's search_path points, which is "public" by default.

CREATE TABLE users (
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    full_name TEXT,
    avatar_url TEXT,
    subscription_tier TEXT NOT NULL DEFAULT 'free',
    email_verified BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP(3) NOT NULL,

    CONSTRAINT users_pkey PRIMARY KEY (id)
);

CREATE TABLE sessions (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    refresh_token TEXT NOT NULL,
    expires_at TIMESTAMP(3) NOT NULL,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT sessions_pkey PRIMARY KEY (id)
);

CREATE TABLE user_activity (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    action TEXT NOT NULL,
    data JSONB,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT user_activity_pkey PRIMARY KEY (id)
);

CREATE TABLE admin_notes (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    admin_id TEXT NOT NULL,
    note TEXT NOT NULL,
    is_flagged BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT admin_notes_pkey PRIMARY KEY (id)
);

CREATE TABLE user_usage_metrics (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    request_count INTEGER NOT NULL DEFAULT 0,
    total_tokens INTEGER NOT NULL DEFAULT 0,
    total_cost DECIMAL(10,4) NOT NULL DEFAULT 0,
    feature_type TEXT,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT user_usage_metrics_pkey PRIMARY KEY (id)
);

CREATE TABLE billing_history (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    amount DECIMAL(10,2) NOT NULL,
    currency VARCHAR(3) NOT NULL DEFAULT 'USD',
    status VARCHAR(50) NOT NULL,
    description TEXT,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT billing_history_pkey PRIMARY KEY (id)
);

CREATE TABLE audit_logs (
    id TEXT NOT NULL,
    admin_id TEXT NOT NULL,
    user_id TEXT,
    action TEXT NOT NULL,
    details JSONB,
    ip_address TEXT,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT audit_logs_pkey PRIMARY KEY (id)
);

-- Prisma makes its unique keys as indexes, not as constraints; a comparison of catalogues sees the difference.
CREATE UNIQUE INDEX users_email_key ON users (email);
CREATE UNIQUE INDEX sessions_refresh_token_key ON sessions (refresh_token);

ALTER TABLE sessions ADD CONSTRAINT sessions_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE user_activity ADD CONSTRAINT user_activity_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE admin_notes ADD CONSTRAINT admin_notes_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE admin_notes ADD CONSTRAINT admin_notes_admin_id_fkey
    FOREIGN KEY (admin_id) REFERENCES users (id) ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE user_usage_metrics ADD CONSTRAINT user_usage_metrics_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE billing_history ADD CONSTRAINT billing_history_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_admin_id_fkey
    FOREIGN KEY (admin_id) REFERENCES users (id) ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL ON UPDATE CASCADE;

-- The document's indexes.
CREATE INDEX idx_users_email ON users (email);
CREATE INDEX idx_users_subscription_tier ON users (subscription_tier);
CREATE INDEX idx_users_created_at ON users (created_at);

CREATE INDEX idx_sessions_user_id ON sessions (user_id);
CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);

CREATE INDEX idx_user_activity_user_id ON user_activity (user_id);
CREATE INDEX idx_user_activity_created_at ON user_activity (created_at);

CREATE INDEX idx_admin_notes_user_id ON admin_notes (user_id);
CREATE INDEX idx_admin_notes_admin_id ON admin_notes (admin_id);
CREATE INDEX idx_admin_notes_is_flagged ON admin_notes (is_flagged);

CREATE INDEX idx_user_usage_metrics_user_id ON user_usage_metrics (user_id);
CREATE INDEX idx_user_usage_metrics_created_at ON user_usage_metrics (created_at);
CREATE INDEX idx_user_usage_metrics_feature_type ON user_usage_metrics (feature_type);

CREATE INDEX idx_billing_history_user_id ON billing_history (user_id);
CREATE INDEX idx_billing_history_status ON billing_history (status);
CREATE INDEX idx_billing_history_created_at ON billing_history (created_at);

CREATE INDEX idx_audit_logs_admin_id ON audit_logs (admin_id);
CREATE INDEX idx_audit_logs_user_id ON audit_logs (user_id);
CREATE INDEX idx_audit_logs_created_at ON audit_logs (created_at);

-- The document's checks.
ALTER TABLE users ADD CONSTRAINT valid_email
    CHECK (email ~* '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$');
ALTER TABLE users ADD CONSTRAINT valid_subscription_tier
    CHECK (subscription_tier IN ('free', 'pro', 'enterprise'));
ALTER TABLE users ADD CONSTRAINT valid_password_hash
    CHECK (LENGTH(password_hash) = 60);
ALTER TABLE sessions ADD CONSTRAINT future_expiration
    CHECK (expires_at > created_at);
ALTER TABLE billing_history ADD CONSTRAINT positive_amount
    CHECK (amount > 0);
ALTER TABLE billing_history ADD CONSTRAINT valid_status
    CHECK (status IN ('pending', 'completed', 'failed', 'refunded'));

-- The document's functions.
CREATE FUNCTION get_user_stats()
RETURNS TABLE (
    total_users BIGINT,
    active_users_today BIGINT,
    new_users_this_week BIGINT,
    total_usage_metrics BIGINT
) AS $$
BEGIN
    RETURN QUERY
    SELECT
        (SELECT COUNT(*) FROM users) AS total_users,
        (SELECT COUNT(*) FROM users u WHERE u.created_at >= CURRENT_DATE) AS active_users_today,
        (SELECT COUNT(*) FROM users u WHERE u.created_at >= CURRENT_DATE - INTERVAL '7 days') AS new_users_this_week,
        (SELECT COUNT(*) FROM user_usage_metrics) AS total_usage_metrics;
END;
$$ LANGUAGE plpgsql;

CREATE FUNCTION get_user_activity_summary(user_uuid TEXT)
RETURNS TABLE (
    total_actions BIGINT,
    actions_this_week BIGINT,
    last_activity TIMESTAMP,
    most_common_action TEXT
) AS $$
BEGIN
    RETURN QUERY
    SELECT
        (SELECT COUNT(*) FROM user_activity a WHERE a.user_id = user_uuid) AS total_actions,
        (SELECT COUNT(*) FROM user_activity a WHERE a.user_id = user_uuid
            AND a.created_at >= CURRENT_DATE - INTERVAL '7 days') AS actions_this_week,
        (SELECT MAX(a.created_at) FROM user_activity a WHERE a.user_id = user_uuid) AS last_activity,
        (SELECT a.action FROM user_activity a WHERE a.user_id = user_uuid
            GROUP BY a.action ORDER BY COUNT(*) DESC LIMIT 1) AS most_common_action;
END;
$$ LANGUAGE plpgsql;
