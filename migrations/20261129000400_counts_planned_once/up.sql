-- A function in SQL is planned anew at each call, which took longer than what `count_user_rows` counts for a page. In PL/pgSQL it is planned
-- once in each connection.

CREATE OR REPLACE FUNCTION count_user_rows(ids TEXT[])
RETURNS TABLE (user_id TEXT, activity BIGINT, usage BIGINT)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT coalesce(a.user_id, u.user_id), coalesce(a.rows, 0), coalesce(u.rows, 0)
    FROM (
        SELECT user_id, count(*) AS rows FROM user_activity WHERE user_id = ANY (ids) GROUP BY user_id
    ) AS a
    FULL JOIN (
        SELECT user_id, count(*) AS rows FROM user_usage_metrics WHERE user_id = ANY (ids) GROUP BY user_id
    ) AS u ON u.user_id = a.user_id;
END
$$;
