SET LOCAL lock_timeout = '5s';

LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;

DROP FUNCTION cut_user_range(INTEGER, INTEGER);
DROP FUNCTION part_user_range(user_ranges, user_ranges);
DROP FUNCTION user_landmark(TEXT, BOOLEAN, TEXT, TEXT, BIGINT);
DROP FUNCTION user_range_cut(user_ranges, BIGINT);
DROP FUNCTION user_range_after(user_ranges);
DROP FUNCTION place_in_wide_ranges(user_range_counts[]);
DROP FUNCTION fold_user_range_counts(user_ranges[]);

DELETE FROM user_range_counts WHERE sort LIKE '%/wide';
DELETE FROM user_ranges WHERE sort LIKE '%/wide';
DROP INDEX idx_user_range_counts_rows;
ALTER TABLE user_ranges DROP CONSTRAINT user_ranges_sort_check;
ALTER TABLE user_ranges ADD CONSTRAINT user_ranges_sort_check CHECK (sort IN ('createdAt', 'email', 'fullName'));

CREATE FUNCTION fold_user_range_counts() RETURNS VOID AS $$
    WITH gone AS (
        DELETE FROM user_range_counts WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM user_range_counts WHERE (sort, low_time, low_text, low_id) IN (
                SELECT sort, low_time, low_text, low_id FROM user_range_counts GROUP BY sort, low_time, low_text, low_id
                HAVING count(*) > 2 * count(DISTINCT (subscription_tier, role)) LIMIT 100
            ) LIMIT 20000 FOR UPDATE SKIP LOCKED
        )) RETURNING *
    )
    INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
    SELECT sort, low_time, low_text, low_id, subscription_tier, role, sum(accounts) FROM gone
    GROUP BY sort, low_time, low_text, low_id, subscription_tier, role HAVING sum(accounts) <> 0
$$ LANGUAGE sql;

CREATE OR REPLACE FUNCTION hold_user_ranges() RETURNS VOID AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('user_ranges'::regclass::oid::bigint);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM user_ranges FOR SHARE;
    END IF;
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION place_users() RETURNS TRIGGER AS $$
BEGIN
    PERFORM hold_user_ranges();
    INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
    SELECT range.sort, low_time, low_text, low_id, coalesce(subscription_tier, ''), coalesce(role, ''),
        CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM rows, LATERAL (VALUES
        ('createdAt', created_at, ''),
        ('email', '-infinity', lower(email)),
        ('fullName', '-infinity', left(coalesce(lower(full_name), ''), 200))
    ) AS place (sort, time, text), user_range_at(place.sort, place.time, place.text, rows.id) AS range
    WHERE deleted_at IS NULL
    GROUP BY range.sort, low_time, low_text, low_id, CUBE (subscription_tier, role);
    IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_user_range_counts();
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

CREATE OR REPLACE FUNCTION place_changed_user() RETURNS TRIGGER AS $$
BEGIN
    IF (OLD.id, OLD.created_at, OLD.email, OLD.full_name, OLD.subscription_tier, OLD.role, OLD.deleted_at)
        IS NOT DISTINCT FROM (NEW.id, NEW.created_at, NEW.email, NEW.full_name, NEW.subscription_tier, NEW.role, NEW.deleted_at) THEN
        RETURN NULL;
    END IF;
    PERFORM hold_user_ranges();
    INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
    SELECT range.sort, low_time, low_text, low_id, coalesce(subscription_tier, ''), coalesce(role, ''), sum(accounts)
    FROM (VALUES
        (OLD.id, OLD.created_at, OLD.email, OLD.full_name, OLD.subscription_tier, OLD.role, OLD.deleted_at, -1),
        (NEW.id, NEW.created_at, NEW.email, NEW.full_name, NEW.subscription_tier, NEW.role, NEW.deleted_at, 1)
    ) AS rows (id, created_at, email, full_name, subscription_tier, role, deleted_at, accounts), LATERAL (VALUES
        ('createdAt', created_at, ''),
        ('email', '-infinity', lower(email)),
        ('fullName', '-infinity', left(coalesce(lower(full_name), ''), 200))
    ) AS place (sort, time, text), user_range_at(place.sort, place.time, place.text, rows.id) AS range
    WHERE deleted_at IS NULL
    GROUP BY range.sort, low_time, low_text, low_id, CUBE (subscription_tier, role)
    HAVING sum(accounts) <> 0;
    IF random() < 0.001 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_user_range_counts();
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

CREATE FUNCTION cut_user_range(size INTEGER) RETURNS BOOLEAN AS $$
DECLARE
    slack CONSTANT INTEGER := size / 8;
    whole user_ranges;
    upper user_ranges;
    low TEXT;
    key TEXT;
    key_type TEXT;
    cut_key TEXT;
    cut_id TEXT;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'ranges are cut in READ COMMITTED only' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF NOT pg_try_advisory_xact_lock('user_ranges'::regclass::oid::bigint) THEN
        RETURN NULL;
    END IF;
    FOR whole IN
        SELECT sort, low_time, low_text, low_id FROM user_range_counts WHERE subscription_tier = '' AND role = ''
        GROUP BY sort, low_time, low_text, low_id HAVING sum(accounts) > 2 * size
        ORDER BY sum(accounts) DESC
    LOOP
        CASE whole.sort
            WHEN 'createdAt' THEN key := 'created_at'; key_type := 'timestamptz'; low := whole.low_time;
            WHEN 'email' THEN key := 'lower(email)'; key_type := 'text'; low := whole.low_text;
            WHEN 'fullName' THEN key := 'left(coalesce(lower(full_name), ''''), 200)'; key_type := 'text'; low := whole.low_text;
        END CASE;
        IF whole.sort = 'createdAt' THEN
            -- Planned with its values: for any `size` PostgreSQL would sort all accounts.
            EXECUTE 'SELECT created_at::text, id FROM users
                WHERE deleted_at IS NULL AND (created_at, id) >= ($1, $2)
                ORDER BY created_at, id OFFSET $3 LIMIT 1'
            INTO cut_key, cut_id USING whole.low_time, whole.low_id, size;
        ELSE
            EXECUTE format(
                'WITH near AS (
                    SELECT %1$s AS key, id, row_number() OVER (ORDER BY %1$s, id) AS place
                    FROM users WHERE deleted_at IS NULL AND (%1$s, id) >= ($1, $2)
                    ORDER BY %1$s, id OFFSET $3 LIMIT $4
                ), pairs AS (
                    SELECT key, id, place, lag(key) OVER (ORDER BY place) AS before FROM near
                )
                (SELECT left(key, length) AS key, '''' AS id FROM pairs, generate_series(1, length(key) - 1) AS length
                    WHERE key > before AND left(key, length) > before AND left(key, length) <= key
                    ORDER BY length, place LIMIT 1)
                UNION ALL
                (SELECT key, id FROM pairs WHERE key = before ORDER BY abs(place - $5) LIMIT 1)
                LIMIT 1', key
            ) INTO cut_key, cut_id USING low, whole.low_id, size - slack, 2 * slack + 1, size;
        END IF;
        EXIT WHEN cut_key IS NOT NULL;
    END LOOP;
    IF cut_key IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO user_ranges (sort, low_time, low_text, low_id) VALUES (
        whole.sort,
        CASE whole.sort WHEN 'createdAt' THEN cut_key::timestamptz ELSE '-infinity' END,
        CASE whole.sort WHEN 'createdAt' THEN '' ELSE cut_key END,
        cut_id
    ) RETURNING * INTO upper;
    EXECUTE format(
        'WITH kept AS (
            SELECT coalesce(subscription_tier, '''') AS subscription_tier, coalesce(role, '''') AS role, count(*) AS accounts
            FROM users
            WHERE deleted_at IS NULL AND (%1$s, id) >= ($1::%2$s, $2.low_id) AND (%1$s, id) < ($3::%2$s, $4.low_id)
            GROUP BY CUBE (users.subscription_tier, users.role)
        ), gone AS (
            DELETE FROM user_range_counts
            WHERE (sort, low_time, low_text, low_id) = ($2.sort, $2.low_time, $2.low_text, $2.low_id)
            RETURNING subscription_tier, role, accounts
        ), counted AS (
            SELECT subscription_tier, role, sum(accounts) AS accounts FROM gone GROUP BY subscription_tier, role
        ), parted AS (
            SELECT subscription_tier, role, coalesce(kept.accounts, 0) AS below,
                coalesce(counted.accounts, 0) - coalesce(kept.accounts, 0) AS above
            FROM counted FULL JOIN kept USING (subscription_tier, role)
        )
        INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
        SELECT $2.sort, range.low_time, range.low_text, range.low_id, subscription_tier, role, range.accounts
        FROM parted, LATERAL (VALUES
            ($2.low_time, $2.low_text, $2.low_id, below),
            ($4.low_time, $4.low_text, $4.low_id, above)
        ) AS range (low_time, low_text, low_id, accounts)
        WHERE range.accounts <> 0', key, key_type
    ) USING low, whole, cut_key, upper;
    -- Who holds the ranges as they were before must not count by them.
    UPDATE user_ranges SET low_id = low_id
    WHERE (sort, low_time, low_text, low_id) = (whole.sort, whole.low_time, whole.low_text, whole.low_id);
    RETURN true;
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION recount_user_ranges() RETURNS VOID AS $$
BEGIN
    PERFORM pg_advisory_xact_lock('user_ranges'::regclass::oid::bigint);
    DELETE FROM user_ranges;
    DELETE FROM user_range_counts;
    INSERT INTO user_ranges (sort) VALUES ('createdAt'), ('email'), ('fullName');
    INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
    SELECT sort, low_time, low_text, low_id, there.subscription_tier, there.role, accounts
    FROM user_ranges, (
        SELECT coalesce(subscription_tier, '') AS subscription_tier, coalesce(role, '') AS role, count(*) AS accounts
        FROM users WHERE deleted_at IS NULL
        GROUP BY CUBE (users.subscription_tier, users.role)
    ) AS there;
END;
$$ LANGUAGE plpgsql;

DO $$
DECLARE
    signature TEXT;
BEGIN
    FOREACH signature IN ARRAY ARRAY['fold_user_range_counts()', 'hold_user_ranges()',
        'place_users()', 'place_changed_user()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', signature, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
    ALTER FUNCTION cut_user_range(integer) SET datestyle = 'ISO';
END;
$$;
