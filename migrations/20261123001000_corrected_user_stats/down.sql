-- The seed's four figures as they were, with the day in UTC.

DROP FUNCTION get_user_stats();
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
$$ LANGUAGE plpgsql SET timezone = 'UTC';
