-- The sum of a person's usage read all their rows. One row for each user, day (UTC) and feature is kept in the statement that writes
-- the rows, so summaries, quotas and bills read at most a month of days. An empty `feature_type` is usage without one, which the
-- rows hold as NULL: a key column cannot.
--
-- Rows that are there already are summed here once. Rows that other programs write past the service are not in the rollup:
-- triggers on growing tables don't survive Citus.
--
-- Locks: writes to `users` wait while the foreign key is checked. It comes last and checks all rows together: made with the table,
-- it would keep them waiting while the rows are summed, and look each one up by itself.

SET LOCAL lock_timeout = '5s';

CREATE TABLE usage_daily (
    user_id TEXT NOT NULL,
    day DATE NOT NULL,
    feature_type TEXT NOT NULL,
    events BIGINT NOT NULL,
    request_count BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    total_cost NUMERIC(30,10) NOT NULL,

    CONSTRAINT usage_daily_pkey PRIMARY KEY (user_id, day, feature_type)
);

INSERT INTO usage_daily (user_id, day, feature_type, events, request_count, total_tokens, total_cost)
SELECT user_id, (created_at AT TIME ZONE 'UTC')::date, coalesce(feature_type, ''),
    count(*), sum(request_count), sum(total_tokens), sum(total_cost)
FROM user_usage_metrics
GROUP BY 1, 2, 3;

-- The close of a month goes over all users of its days.
CREATE INDEX idx_usage_daily_day ON usage_daily (day);

ALTER TABLE usage_daily
    ADD CONSTRAINT usage_daily_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
