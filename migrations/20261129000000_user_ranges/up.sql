-- A page far behind the first was found by skipping all accounts before it, one by one; in the order of creation by the counts of days,
-- which help nobody whose accounts came on one day. Accounts are counted by ranges of the list now, for each order that it has: a range
-- goes from its low end to that of the next. Triggers keep count, whoever writes, by rows that are only added, as in `user_counts`;
-- the sum of all rows is the count. `user_counts` stays for the figures by day.
--
-- The service cuts ranges that have grown large (`cut_user_range`). Where a low end is a text it is the shortest beginning of one that
-- tells it from its neighbour, and never all of it: no address stands there, and no name but one that neighbours share, who are told
-- apart by their identifiers. In the order of creation it is the time and the identifier of an account, which outlive its erasure.
--
-- Who counts holds a shared lock until the end of the transaction, so that nobody cuts meanwhile, and waits for who cuts; who cuts waits
-- for nobody. A transaction that sees the ranges as they were, which READ COMMITTED does not, fails (40001) if one was cut since.
--
-- Locks: `users`, for a moment.

SET LOCAL lock_timeout = '5s';

CREATE TABLE user_ranges (
    sort TEXT NOT NULL,
    low_time TIMESTAMPTZ NOT NULL DEFAULT '-infinity',
    low_text TEXT NOT NULL DEFAULT '',
    low_id TEXT NOT NULL DEFAULT '',

    CONSTRAINT user_ranges_pkey PRIMARY KEY (sort, low_time, low_text, low_id),
    CONSTRAINT user_ranges_sort_check CHECK (sort IN ('createdAt', 'email', 'fullName'))
);
INSERT INTO user_ranges (sort) VALUES ('createdAt'), ('email'), ('fullName');

-- Each row tells its range, so that pages are found in this table alone. Accounts are counted by tier and role, and once more in rows in which
-- one or both are empty and stand for all: so whatever a page is of, its rows are few and follow each other.
CREATE TABLE user_range_counts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sort TEXT NOT NULL,
    low_time TIMESTAMPTZ NOT NULL,
    low_text TEXT NOT NULL,
    low_id TEXT NOT NULL,
    subscription_tier TEXT NOT NULL,
    role TEXT NOT NULL,
    accounts INTEGER NOT NULL
);
CREATE INDEX idx_user_range_counts_range ON user_range_counts (sort, subscription_tier, role, low_time, low_text, low_id);

-- The range of a place in an order.
CREATE FUNCTION user_range_at(place_sort TEXT, place_time TIMESTAMPTZ, place_text TEXT, place_id TEXT) RETURNS user_ranges AS $$
DECLARE
    it user_ranges;
BEGIN
    SELECT * INTO it FROM user_ranges
    WHERE sort = place_sort AND (low_time, low_text, low_id) <= (place_time, place_text, place_id)
    ORDER BY low_time DESC, low_text DESC, low_id DESC LIMIT 1;
    RETURN it;
END;
$$ LANGUAGE plpgsql STABLE;

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

-- Nobody cuts until the end of the transaction.
CREATE FUNCTION hold_user_ranges() RETURNS VOID AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('user_ranges'::regclass::oid::bigint);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM user_ranges FOR SHARE;
    END IF;
END;
$$ LANGUAGE plpgsql;

-- One for what comes and one for what goes: `rows` are those of the statement.
CREATE FUNCTION place_users() RETURNS TRIGGER AS $$
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

CREATE FUNCTION place_changed_user() RETURNS TRIGGER AS $$
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

-- Cuts the first `size` accounts off a range that has more than twice as many, or somewhat fewer or more where they part by a shorter
-- text. False if there is none, or nowhere to cut it; NULL if somebody is counting. What is counted must be what others have committed
-- until the lock was had: hence READ COMMITTED only.
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

-- Begins anew, with one range for each order: for a database whose collation has changed, after its indexes were made anew. Accounts can't be
-- written meanwhile.
CREATE FUNCTION recount_user_ranges() RETURNS VOID AS $$
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
    FOREACH signature IN ARRAY ARRAY['user_range_at(text, timestamptz, text, text)', 'fold_user_range_counts()', 'hold_user_ranges()',
        'place_users()', 'place_changed_user()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', signature, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
    ALTER FUNCTION cut_user_range(integer) SET datestyle = 'ISO';
END;
$$;

CREATE TRIGGER place_new_users AFTER INSERT ON users
    REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION place_users();
CREATE TRIGGER place_gone_users AFTER DELETE ON users
    REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION place_users();
-- Its conditions are in its function: a column that is named here could have no other type until the trigger is gone.
CREATE TRIGGER place_changed_users AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION place_changed_user();
