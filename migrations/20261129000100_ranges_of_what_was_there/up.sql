-- Counts the accounts that were there before triggers placed them. Nothing is cut yet, so that all are in the one range of each order.
-- Each statement sees accounts and counts as of one moment: what it finds more of is what nobody has counted. Nobody waits for it.

INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
SELECT sort, low_time, low_text, low_id, subscription_tier, role, sum(accounts) FROM (
    SELECT sort, low_time, low_text, low_id, subscription_tier, role, accounts
    FROM user_ranges, (
        SELECT coalesce(subscription_tier, '') AS subscription_tier, coalesce(role, '') AS role, count(*) AS accounts
        FROM users WHERE deleted_at IS NULL
        GROUP BY CUBE (users.subscription_tier, users.role)
    ) AS there
    UNION ALL
    SELECT sort, low_time, low_text, low_id, subscription_tier, role, -accounts FROM user_range_counts
) AS uncounted
GROUP BY sort, low_time, low_text, low_id, subscription_tier, role HAVING sum(accounts) <> 0;
