-- Back to TIMESTAMP(3) in UTC, without a rewrite by the same way. The database's zone is reset to the server's: one
-- that was set on the database before this migration is not remembered.

SET LOCAL lock_timeout = '5s';
SET LOCAL timezone = 'UTC';

CREATE TYPE utc_milliseconds AS (moment TIMESTAMPTZ(3));
CREATE FUNCTION from_utc_milliseconds(utc_milliseconds, INTEGER) RETURNS TIMESTAMP AS $$
    SELECT ($1).moment::TIMESTAMP;
$$ LANGUAGE sql STABLE;
CREATE CAST (utc_milliseconds AS TIMESTAMP) WITH FUNCTION from_utc_milliseconds(utc_milliseconds, INTEGER);

ALTER TABLE users
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3),
    ALTER COLUMN updated_at TYPE TIMESTAMP(3) USING ROW(updated_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE sessions
    ALTER COLUMN expires_at TYPE TIMESTAMP(3) USING ROW(expires_at)::utc_milliseconds::TIMESTAMP(3),
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE user_activity
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE admin_notes
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE user_usage_metrics
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE billing_history
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE audit_logs
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE bridge_tokens
    ALTER COLUMN expires_at TYPE TIMESTAMP(3) USING ROW(expires_at)::utc_milliseconds::TIMESTAMP(3),
    ALTER COLUMN used_at TYPE TIMESTAMP(3) USING ROW(used_at)::utc_milliseconds::TIMESTAMP(3),
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);
ALTER TABLE sync_logs
    ALTER COLUMN created_at TYPE TIMESTAMP(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMP(3);

DROP CAST (utc_milliseconds AS TIMESTAMP);
DROP FUNCTION from_utc_milliseconds(utc_milliseconds, INTEGER);
DROP TYPE utc_milliseconds;

DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I RESET timezone', current_database());
END;
$$;

ALTER FUNCTION get_user_stats() RESET timezone;

DROP FUNCTION get_user_activity_summary(TEXT);
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
