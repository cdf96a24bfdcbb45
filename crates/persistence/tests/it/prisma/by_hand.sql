-- Performance indexes
CREATE INDEX idx_users_email ON users(email);
CREATE INDEX idx_users_subscription_tier ON users(subscription_tier);
CREATE INDEX idx_users_created_at ON users(created_at);

CREATE INDEX idx_sessions_user_id ON sessions(user_id);
CREATE INDEX idx_sessions_expires_at ON sessions(expires_at);

CREATE INDEX idx_user_activity_user_id ON user_activity(user_id);
CREATE INDEX idx_user_activity_created_at ON user_activity(created_at);

CREATE INDEX idx_admin_notes_user_id ON admin_notes(user_id);
CREATE INDEX idx_admin_notes_admin_id ON admin_notes(admin_id);
CREATE INDEX idx_admin_notes_is_flagged ON admin_notes(is_flagged);

CREATE INDEX idx_user_usage_metrics_user_id ON user_usage_metrics(user_id);
CREATE INDEX idx_user_usage_metrics_created_at ON user_usage_metrics(created_at);
CREATE INDEX idx_user_usage_metrics_feature_type ON user_usage_metrics(feature_type);

CREATE INDEX idx_billing_history_user_id ON billing_history(user_id);
CREATE INDEX idx_billing_history_status ON billing_history(status);
CREATE INDEX idx_billing_history_created_at ON billing_history(created_at);

CREATE INDEX idx_audit_logs_admin_id ON audit_logs(admin_id);
CREATE INDEX idx_audit_logs_user_id ON audit_logs(user_id);
CREATE INDEX idx_audit_logs_created_at ON audit_logs(created_at);
-- Function to get user statistics
CREATE OR REPLACE FUNCTION get_user_stats()
RETURNS TABLE(
    total_users BIGINT,
    active_users_today BIGINT,
    new_users_this_week BIGINT,
    total_usage_metrics BIGINT
) AS $$
BEGIN
    RETURN QUERY
    SELECT 
        (SELECT COUNT(*) FROM users) as total_users,
        (SELECT COUNT(*) FROM users WHERE created_at >= CURRENT_DATE) as active_users_today,
        (SELECT COUNT(*) FROM users WHERE created_at >= CURRENT_DATE - INTERVAL '7 days') as new_users_this_week,
        (SELECT COUNT(*) FROM user_usage_metrics) as total_usage_metrics;
END;
$$ LANGUAGE plpgsql;
-- Function to get user activity summary
CREATE OR REPLACE FUNCTION get_user_activity_summary(user_uuid UUID)
RETURNS TABLE(
    total_actions BIGINT,
    actions_this_week BIGINT,
    last_activity TIMESTAMP,
    most_common_action TEXT
) AS $$
BEGIN
    RETURN QUERY
    SELECT 
        (SELECT COUNT(*) FROM user_activity WHERE user_id = user_uuid) as total_actions,
        (SELECT COUNT(*) FROM user_activity WHERE user_id = user_uuid AND created_at >= CURRENT_DATE - INTERVAL '7 days') as actions_this_week,
        (SELECT MAX(created_at) FROM user_activity WHERE user_id = user_uuid) as last_activity,
        (SELECT action FROM user_activity WHERE user_id = user_uuid GROUP BY action ORDER BY COUNT(*) DESC LIMIT 1) as most_common_action;
END;
$$ LANGUAGE plpgsql;
-- Email validation
ALTER TABLE users ADD CONSTRAINT valid_email CHECK (email ~* '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$');

-- Subscription tier validation
ALTER TABLE users ADD CONSTRAINT valid_subscription_tier CHECK (subscription_tier IN ('free', 'pro', 'enterprise'));

-- Password hash length (bcrypt hashes are 60 characters)
ALTER TABLE users ADD CONSTRAINT valid_password_hash CHECK (LENGTH(password_hash) = 60);
-- Ensure expiration is in the future when created
ALTER TABLE sessions ADD CONSTRAINT future_expiration CHECK (expires_at > created_at);
-- Ensure positive amounts
ALTER TABLE billing_history ADD CONSTRAINT positive_amount CHECK (amount > 0);

-- Valid status values
ALTER TABLE billing_history ADD CONSTRAINT valid_status CHECK (status IN ('pending', 'completed', 'failed', 'refunded'));
