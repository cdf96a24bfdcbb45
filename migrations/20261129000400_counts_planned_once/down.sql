CREATE OR REPLACE FUNCTION count_user_rows(ids TEXT[])
RETURNS TABLE (user_id TEXT, activity BIGINT, usage BIGINT)
LANGUAGE sql STABLE
SET enable_seqscan = off
AS $$
    SELECT coalesce(a.user_id, u.user_id), coalesce(a.rows, 0), coalesce(u.rows, 0)
    FROM (
        SELECT user_id, count(*) AS rows FROM user_activity WHERE user_id = ANY (ids) GROUP BY user_id
    ) AS a
    FULL JOIN (
        SELECT user_id, count(*) AS rows FROM user_usage_metrics WHERE user_id = ANY (ids) GROUP BY user_id
    ) AS u ON u.user_id = a.user_id
$$;
