-- The seed document's development data, made to work: real hashes, the role beside the tier, nothing twice.
BEGIN;
SET LOCAL client_min_messages = warning;

CREATE TEMPORARY TABLE seeded (position, email, full_name, tier, role) ON COMMIT DROP AS
VALUES
    (1, 'admin@gosubtle.app', 'Admin User', 'enterprise', 'admin'),
    (2, 'user1@example.com', 'Test User 1', 'free', 'user'),
    (3, 'user2@example.com', 'Test User 2', 'pro', 'user');

-- Accounts that are there stay as they are.
CREATE TEMPORARY TABLE added (email) ON COMMIT DROP AS SELECT email FROM seeded LIMIT 0;
WITH new AS (
    INSERT INTO users (email, password_hash, full_name, subscription_tier, role, email_verified)
    SELECT email, :'hash', full_name, tier, role, true FROM seeded ORDER BY position
    ON CONFLICT DO NOTHING
    RETURNING email
)
INSERT INTO added SELECT email FROM new;

-- The daily sums are kept in the statement that writes the rows, as the service does.
WITH used AS (
    INSERT INTO user_usage_metrics (user_id, request_count, total_tokens, total_cost, feature_type)
    SELECT
        u.id,
        floor(random() * 100 + 1)::INT,
        floor(random() * 10000 + 100)::INT,
        round((random() * 50 + 1)::NUMERIC, 2),
        (ARRAY['chat', 'completion', 'analysis'])[1 + floor(random() * 3)::INT]
    FROM users u
    JOIN seeded s ON s.email = lower(u.email)
    WHERE NOT EXISTS (SELECT FROM user_usage_metrics m WHERE m.user_id = u.id)
    RETURNING user_id, created_at, feature_type, request_count, total_tokens, total_cost
)
INSERT INTO usage_daily AS daily (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
SELECT user_id, (created_at AT TIME ZONE 'UTC')::date AS day, coalesce(feature_type, '') AS feature,
    count(*), sum(request_count), sum(total_tokens), sum(total_cost)
FROM used
GROUP BY user_id, day, feature
ON CONFLICT (user_id, day, feature_type) DO UPDATE SET
    events = daily.events + excluded.events,
    request_count = daily.request_count + excluded.request_count,
    total_tokens = daily.total_tokens + excluded.total_tokens,
    total_cost = daily.total_cost + excluded.total_cost;

SELECT
    u.email,
    u.role,
    u.subscription_tier,
    CASE WHEN a.email IS NULL THEN 'was there' ELSE 'added' END,
    count(m.id),
    sum(m.request_count),
    sum(m.total_tokens),
    trim_scale(sum(m.total_cost)),
    string_agg(DISTINCT m.feature_type, ', ')
FROM seeded s
JOIN users u ON lower(u.email) = s.email
LEFT JOIN added a ON a.email = s.email
LEFT JOIN user_usage_metrics m ON m.user_id = u.id
GROUP BY s.position, u.id, a.email
ORDER BY s.position;

COMMIT;
