-- The seed's `active_users_today` counts the sign-ups of today: nobody who signed up earlier is ever active. It now
-- counts the users with activity today, read through `idx_user_activity_created_at`; the sign-ups of today move to a
-- column of their own, `new_users_today`, after the seed's four. Days are days in UTC. Erased accounts are not users
-- any more and count nowhere; their usage stays, as the ledger does.
--
-- A return type can only change by drop and create. Whoever reads the columns by name sees no difference.

DROP FUNCTION get_user_stats();
CREATE FUNCTION get_user_stats()
RETURNS TABLE (
    total_users BIGINT,
    active_users_today BIGINT,
    new_users_this_week BIGINT,
    total_usage_metrics BIGINT,
    new_users_today BIGINT
) AS $$
BEGIN
    RETURN QUERY
    SELECT
        (SELECT COUNT(*) FROM users u WHERE u.deleted_at IS NULL) AS total_users,
        (SELECT COUNT(*)
            FROM (SELECT DISTINCT a.user_id FROM user_activity a WHERE a.created_at >= CURRENT_DATE) AS active
            JOIN users u ON u.id = active.user_id
            WHERE u.deleted_at IS NULL) AS active_users_today,
        (SELECT COUNT(*) FROM users u WHERE u.deleted_at IS NULL
            AND u.created_at >= CURRENT_DATE - INTERVAL '7 days') AS new_users_this_week,
        (SELECT COUNT(*) FROM user_usage_metrics) AS total_usage_metrics,
        (SELECT COUNT(*) FROM users u WHERE u.deleted_at IS NULL
            AND u.created_at >= CURRENT_DATE) AS new_users_today;
END;
$$ LANGUAGE plpgsql STABLE SET timezone = 'UTC';
