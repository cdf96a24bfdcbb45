-- Who was active today before triggers kept it; yesterday too, where a server still believes it is that day. Whoever of them
-- acts meanwhile waits for its end.

INSERT INTO active_users (day, account)
SELECT DISTINCT (activity.created_at AT TIME ZONE 'UTC')::date AS day, users.id
FROM user_activity AS activity JOIN users ON users.id = activity.user_id AND users.deleted_at IS NULL
WHERE activity.created_at >= ((now() AT TIME ZONE 'UTC')::date - 1)::timestamp AT TIME ZONE 'UTC'
ORDER BY 1, 2
ON CONFLICT DO NOTHING;

-- One statement sees both as of one moment: what it finds more of is what nobody has counted.
INSERT INTO active_user_counts (day, accounts)
SELECT day, sum(accounts) FROM (
    SELECT day, count(*) AS accounts FROM active_users GROUP BY day
    UNION ALL
    SELECT day, -accounts FROM active_user_counts
) AS uncounted
GROUP BY day HAVING sum(accounts) <> 0;
