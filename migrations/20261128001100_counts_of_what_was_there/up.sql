-- Counts what was there before triggers kept count. Each statement sees rows and counts as of one moment: what it finds more of is what
-- nobody has counted. Nobody waits for it.

INSERT INTO user_counts (day, subscription_tier, role, accounts)
SELECT day, subscription_tier, role, sum(accounts) FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, subscription_tier, role, count(*) AS accounts
    FROM users WHERE deleted_at IS NULL GROUP BY 1, 2, 3
    UNION ALL
    SELECT day, subscription_tier, role, -accounts FROM user_counts
) AS uncounted
GROUP BY day, subscription_tier, role HAVING sum(accounts) <> 0;

INSERT INTO usage_counts (events)
SELECT events FROM (
    SELECT (SELECT count(*) FROM user_usage_metrics) - (SELECT coalesce(sum(events), 0) FROM usage_counts) AS events
) AS uncounted
WHERE events <> 0;
