-- The list of accounts counts what those of one page have in the growing tables. Where one of them has a great part of a table, the
-- planner finds it cheaper to read the table from end to end, and with it everybody else's rows. This function does not let it:
-- it walks along the indexes on `user_id`, and costs what these accounts have, however large the tables are.

CREATE FUNCTION count_user_rows(ids TEXT[])
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
