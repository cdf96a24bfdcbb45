-- TIMESTAMP(3) holds a clock on the wall without saying where the wall is. Prisma writes UTC into it; but
-- CURRENT_TIMESTAMP and CURRENT_DATE follow the session's zone, so with Asia/Tokyo a default is nine hours off what
-- Prisma writes beside it, and "today" begins nine hours early. Every such column becomes TIMESTAMPTZ(3), a moment,
-- and what is there is read as UTC.
--
-- Without a rewrite. With the session in UTC both types have the same bytes, and PostgreSQL (12 and later) knows it:
-- it keeps the table's file and builds anew only the indexes on these columns. But it knows it for TIMESTAMPTZ alone;
-- the (3) would add a rounding step, and with it a rewrite, although nothing is left to round. So the conversion
-- goes through a cast of our own that promises values in milliseconds, which is true, as they come from TIMESTAMP(3).
-- PostgreSQL inlines its function and sees the plain conversion. Were it not to, the result would be the same, only
-- slower.
--
-- The database's own zone becomes UTC as well: Prisma's adapter drops the offset when it reads TIMESTAMPTZ, so it is
-- right in UTC only. This counts for sessions that begin later. `CREATE DATABASE … TEMPLATE` and a plain dump don't
-- carry a database's settings, so nothing in the service relies on it.
--
-- The two functions fix their zone, so that "today" is the UTC day whoever asks, and the summary returns a moment.

SET LOCAL lock_timeout = '5s';
SET LOCAL timezone = 'UTC';

CREATE TYPE utc_milliseconds AS (moment TIMESTAMP(3));
CREATE FUNCTION from_utc_milliseconds(utc_milliseconds, INTEGER) RETURNS TIMESTAMPTZ AS $$
    SELECT ($1).moment::TIMESTAMPTZ;
$$ LANGUAGE sql STABLE;
CREATE CAST (utc_milliseconds AS TIMESTAMPTZ) WITH FUNCTION from_utc_milliseconds(utc_milliseconds, INTEGER);

ALTER TABLE users
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3),
    ALTER COLUMN updated_at TYPE TIMESTAMPTZ(3) USING ROW(updated_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE sessions
    ALTER COLUMN expires_at TYPE TIMESTAMPTZ(3) USING ROW(expires_at)::utc_milliseconds::TIMESTAMPTZ(3),
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE user_activity
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE admin_notes
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE user_usage_metrics
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE billing_history
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE audit_logs
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE bridge_tokens
    ALTER COLUMN expires_at TYPE TIMESTAMPTZ(3) USING ROW(expires_at)::utc_milliseconds::TIMESTAMPTZ(3),
    ALTER COLUMN used_at TYPE TIMESTAMPTZ(3) USING ROW(used_at)::utc_milliseconds::TIMESTAMPTZ(3),
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);
ALTER TABLE sync_logs
    ALTER COLUMN created_at TYPE TIMESTAMPTZ(3) USING ROW(created_at)::utc_milliseconds::TIMESTAMPTZ(3);

DROP CAST (utc_milliseconds AS TIMESTAMPTZ);
DROP FUNCTION from_utc_milliseconds(utc_milliseconds, INTEGER);
DROP TYPE utc_milliseconds;

DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'UTC');
END;
$$;

ALTER FUNCTION get_user_stats() SET timezone = 'UTC';

-- A return type can only change by drop and create.
DROP FUNCTION get_user_activity_summary(TEXT);
CREATE FUNCTION get_user_activity_summary(user_uuid TEXT)
RETURNS TABLE (
    total_actions BIGINT,
    actions_this_week BIGINT,
    last_activity TIMESTAMPTZ,
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
$$ LANGUAGE plpgsql SET timezone = 'UTC';
