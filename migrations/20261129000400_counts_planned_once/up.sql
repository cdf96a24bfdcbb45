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
    SELECT asked.id,
        (SELECT count(*) FROM user_activity WHERE user_id = asked.id),
        (SELECT count(*) FROM user_usage_metrics WHERE user_id = asked.id)
    FROM unnest(ids) AS asked (id);
END
$$;
