-- A far page's range was looked for among all of its order, five hundred in a million accounts, and half of a range was then skipped one by one:
-- by name and by address, whose accounts lie all over the table, that took a millisecond each. Each order has ranges of two widths now. The
-- narrow ones are as small as it takes to skip them in no time; a wide one is made of some sixty narrow ones that follow each other, so
-- that a place is found among the wide ones and then among those in one of them, and the total is the sum of the wide ones.
--
-- A wide range begins where a narrow one does. Narrow ones are only ever cut, so it stays so, and what a wide one has is the sum of its
-- narrow ones: no wide range is ever counted from accounts.
--
-- Locks: `users`, against writing, for a moment: who writes accounts while the triggers change would not be counted in both widths.

SET LOCAL lock_timeout = '5s';

LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;

ALTER TABLE user_ranges DROP CONSTRAINT user_ranges_sort_check;
ALTER TABLE user_ranges ADD CONSTRAINT user_ranges_sort_check
    CHECK (sort IN ('createdAt', 'email', 'fullName', 'createdAt/wide', 'email/wide', 'fullName/wide'));

-- The rows of one range, of all tiers and roles: for who folds or cuts it.
CREATE INDEX idx_user_range_counts_rows ON user_range_counts (sort, low_time, low_text, low_id);

INSERT INTO user_ranges (sort) VALUES ('createdAt/wide'), ('email/wide'), ('fullName/wide');
INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
SELECT sort || '/wide', '-infinity', '', '', subscription_tier, role, sum(accounts) FROM user_range_counts
GROUP BY sort, subscription_tier, role HAVING sum(accounts) <> 0;

-- Nobody cuts until the end of the transaction. Who cuts has written the first range of each order.
CREATE OR REPLACE FUNCTION hold_user_ranges() RETURNS VOID AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('user_ranges'::regclass::oid::bigint);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM user_ranges WHERE (low_time, low_text, low_id) = ('-infinity', '', '') FOR SHARE;
    END IF;
END;
$$ LANGUAGE plpgsql;

-- Folds what stands in these ranges, where it is worth it. What somebody else folds or has not committed stays as it is.
DROP FUNCTION fold_user_range_counts();
CREATE FUNCTION fold_user_range_counts(ranges user_ranges[]) RETURNS VOID AS $$
BEGIN
    WITH gone AS (
        DELETE FROM user_range_counts WHERE ctid = ANY (ARRAY(
            SELECT counts.ctid FROM (
                SELECT sort, low_time, low_text, low_id
                FROM unnest(ranges) JOIN user_range_counts USING (sort, low_time, low_text, low_id)
                GROUP BY sort, low_time, low_text, low_id
                HAVING count(*) > 2 * count(DISTINCT (subscription_tier, role))
            ) AS full_ones JOIN user_range_counts AS counts USING (sort, low_time, low_text, low_id)
            FOR UPDATE OF counts SKIP LOCKED
        )) RETURNING *
    )
    INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
    SELECT sort, low_time, low_text, low_id, subscription_tier, role, sum(accounts) FROM gone
    GROUP BY sort, low_time, low_text, low_id, subscription_tier, role HAVING sum(accounts) <> 0;
END;
$$ LANGUAGE plpgsql;

-- Adds to the wide ranges what was placed in narrow ones, and folds both now and then.
CREATE FUNCTION place_in_wide_ranges(placed user_range_counts[]) RETURNS VOID AS $$
DECLARE
    touched user_ranges[];
BEGIN
    WITH narrow AS (
        SELECT DISTINCT sort, low_time, low_text, low_id FROM unnest(placed)
    ), both_widths AS (
        SELECT narrow, wide FROM narrow, user_range_at(sort || '/wide', low_time, low_text, low_id) AS wide
    ), placed_wide AS (
        INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
        SELECT (wide).sort, (wide).low_time, (wide).low_text, (wide).low_id, subscription_tier, role, sum(accounts)
        FROM both_widths JOIN unnest(placed) AS counts ON (counts.sort, counts.low_time, counts.low_text, counts.low_id)
            = ((narrow).sort, (narrow).low_time, (narrow).low_text, (narrow).low_id)
        GROUP BY wide, subscription_tier, role HAVING sum(accounts) <> 0
    )
    SELECT array_agg(DISTINCT range) INTO touched
    FROM both_widths, LATERAL (VALUES (wide), (ROW((narrow).sort, (narrow).low_time, (narrow).low_text, (narrow).low_id)::user_ranges))
        AS each (range);
    IF random() < 0.0625 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_user_range_counts(touched);
    END IF;
END;
$$ LANGUAGE plpgsql;

-- One for what comes and one for what goes: `rows` are those of the statement.
CREATE OR REPLACE FUNCTION place_users() RETURNS TRIGGER AS $$
DECLARE
    placed user_range_counts[];
BEGIN
    PERFORM hold_user_ranges();
    WITH narrow AS (
        INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
        SELECT range.sort, low_time, low_text, low_id, coalesce(subscription_tier, ''), coalesce(role, ''),
            CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
        FROM rows, LATERAL (VALUES
            ('createdAt', created_at, ''),
            ('email', '-infinity', lower(email)),
            ('fullName', '-infinity', left(coalesce(lower(full_name), ''), 200))
        ) AS place (sort, time, text), user_range_at(place.sort, place.time, place.text, rows.id) AS range
        WHERE deleted_at IS NULL
        GROUP BY range.sort, low_time, low_text, low_id, CUBE (subscription_tier, role)
        RETURNING user_range_counts
    )
    SELECT array_agg(user_range_counts) INTO placed FROM narrow;
    PERFORM place_in_wide_ranges(placed);
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

CREATE OR REPLACE FUNCTION place_changed_user() RETURNS TRIGGER AS $$
DECLARE
    placed user_range_counts[];
BEGIN
    IF (OLD.id, OLD.created_at, OLD.email, OLD.full_name, OLD.subscription_tier, OLD.role, OLD.deleted_at)
        IS NOT DISTINCT FROM (NEW.id, NEW.created_at, NEW.email, NEW.full_name, NEW.subscription_tier, NEW.role, NEW.deleted_at) THEN
        RETURN NULL;
    END IF;
    PERFORM hold_user_ranges();
    WITH narrow AS (
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
        HAVING sum(accounts) <> 0
        RETURNING user_range_counts
    )
    SELECT array_agg(user_range_counts) INTO placed FROM narrow;
    IF placed IS NOT NULL THEN
        PERFORM place_in_wide_ranges(placed);
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

-- The range that follows one in its order; all NULL behind the last.
CREATE FUNCTION user_range_after(range user_ranges) RETURNS user_ranges AS $$
DECLARE
    it user_ranges;
BEGIN
    SELECT * INTO it FROM user_ranges
    WHERE sort = range.sort AND (low_time, low_text, low_id) > (range.low_time, range.low_text, range.low_id)
    ORDER BY low_time, low_text, low_id LIMIT 1;
    RETURN it;
END;
$$ LANGUAGE plpgsql STABLE;

-- Where in a list of accounts (`order_of`, of one tier and role or, where these are empty, of all) somebody who skips `skip` of them can
-- begin to skip: `low_*` is the low end of a range, NULL for the begin of a list that descends; of one that ascends the accounts at that
-- end and above are still to come, of one that descends those below it; and so many were left out before. `total` is how many there are in
-- the list, the rest NULL if that is not more than `skip`. What is sought is the range of the account that comes so many places
-- from the bottom, first among the wide ones and then among the narrow ones of one of these. Along the index they come one after the other,
-- so that nobody reads further than that; it is planned once in each connection.
CREATE FUNCTION user_landmark(
    order_of TEXT, descending BOOLEAN, tier TEXT, in_role TEXT, skip BIGINT,
    OUT low_time TIMESTAMPTZ, OUT low_text TEXT, OUT low_id TEXT, OUT skipped BIGINT, OUT total BIGINT
) AS $$
DECLARE
    width TEXT;
    here RECORD;
    low user_ranges := ROW('', '-infinity', '', '');
    place BIGINT;
    below BIGINT := 0;
BEGIN
    SELECT coalesce(sum(accounts), 0) INTO total FROM user_range_counts
    WHERE sort = order_of || '/wide' AND subscription_tier = tier AND role = in_role;
    IF skip >= total THEN
        RETURN;
    END IF;
    place := CASE WHEN descending THEN total - skip ELSE skip + 1 END;
    FOREACH width IN ARRAY ARRAY['/wide', ''] LOOP
        FOR here IN
            SELECT counts.low_time, counts.low_text, counts.low_id, sum(accounts) AS accounts FROM user_range_counts AS counts
            WHERE sort = order_of || width AND subscription_tier = tier AND role = in_role
                AND (counts.low_time, counts.low_text, counts.low_id) >= (low.low_time, low.low_text, low.low_id)
            GROUP BY counts.low_time, counts.low_text, counts.low_id
            ORDER BY counts.low_time, counts.low_text, counts.low_id
        LOOP
            EXIT WHEN below + here.accounts >= place;
            below := below + here.accounts;
        END LOOP;
        low := ROW(order_of || width, here.low_time, here.low_text, here.low_id);
    END LOOP;
    IF descending THEN
        low := user_range_after(low);
        skipped := total - below - here.accounts;
    ELSE
        skipped := below;
    END IF;
    low_time := low.low_time;
    low_text := low.low_text;
    low_id := low.low_id;
END;
$$ LANGUAGE plpgsql STABLE SET enable_sort = off SET plan_cache_mode = force_generic_plan;

-- Where a range begins that leaves about the first `size` accounts to the one it is cut off, or somewhat fewer or more where they part by
-- a shorter text; all NULL if there is nowhere to cut.
CREATE FUNCTION user_range_cut(whole user_ranges, size BIGINT) RETURNS user_ranges AS $$
DECLARE
    slack CONSTANT BIGINT := size / 8;
    high CONSTANT user_ranges := user_range_after(whole);
    key TEXT;
    upper user_ranges;
BEGIN
    IF whole.sort LIKE '%/wide' THEN
        SELECT whole.sort, low_time, low_text, low_id INTO upper FROM (
            SELECT low_time, low_text, low_id,
                sum(sum(accounts)) OVER (ORDER BY low_time, low_text, low_id) - sum(accounts) AS below
            FROM user_range_counts
            WHERE sort = split_part(whole.sort, '/', 1) AND subscription_tier = '' AND role = ''
                AND (low_time, low_text, low_id) >= (whole.low_time, whole.low_text, whole.low_id)
                AND (high.sort IS NULL OR (low_time, low_text, low_id) < (high.low_time, high.low_text, high.low_id))
            GROUP BY low_time, low_text, low_id
        ) AS narrow WHERE below >= size ORDER BY below LIMIT 1;
    ELSIF whole.sort = 'createdAt' THEN
        -- Planned with its values: for any `size` PostgreSQL would sort all accounts.
        EXECUTE 'SELECT ''createdAt'', created_at, '''', id FROM users
            WHERE deleted_at IS NULL AND (created_at, id) >= ($1, $2)
            ORDER BY created_at, id OFFSET $3 LIMIT 1'
        INTO upper USING whole.low_time, whole.low_id, size;
    ELSE
        key := CASE whole.sort WHEN 'email' THEN 'lower(email)' ELSE 'left(coalesce(lower(full_name), ''''), 200)' END;
        EXECUTE format(
            'WITH near AS (
                SELECT %1$s AS key, id, row_number() OVER (ORDER BY %1$s, id) AS place
                FROM users WHERE deleted_at IS NULL AND (%1$s, id) >= ($1, $2)
                ORDER BY %1$s, id OFFSET $3 LIMIT $4
            ), pairs AS (
                SELECT key, id, place, lag(key) OVER (ORDER BY place) AS before FROM near
            )
            SELECT $6, TIMESTAMPTZ ''-infinity'', key, id FROM (
                (SELECT left(key, length) AS key, '''' AS id FROM pairs, generate_series(1, length(key) - 1) AS length
                    WHERE key > before AND left(key, length) > before AND left(key, length) <= key
                    ORDER BY length, place LIMIT 1)
                UNION ALL
                (SELECT key, id FROM pairs WHERE key = before ORDER BY abs(place - $5) LIMIT 1)
                LIMIT 1
            ) AS cut', key
        ) INTO upper USING whole.low_text, whole.low_id, size - slack, 2 * slack + 1, size, whole.sort;
    END IF;
    RETURN upper;
END;
$$ LANGUAGE plpgsql;

-- Parts the counts of a range into its own and those of the one that was cut off it.
CREATE FUNCTION part_user_range(whole user_ranges, upper user_ranges) RETURNS VOID AS $$
DECLARE
    kept TEXT;
BEGIN
    IF whole.sort LIKE '%/wide' THEN
        kept := 'SELECT subscription_tier, role, sum(accounts) AS accounts FROM user_range_counts
            WHERE sort = split_part($1.sort, ''/'', 1)
                AND (low_time, low_text, low_id) >= ($1.low_time, $1.low_text, $1.low_id)
                AND (low_time, low_text, low_id) < ($2.low_time, $2.low_text, $2.low_id)
            GROUP BY subscription_tier, role';
    ELSE
        kept := format(
            'SELECT coalesce(subscription_tier, '''') AS subscription_tier, coalesce(role, '''') AS role, count(*) AS accounts
            FROM users WHERE deleted_at IS NULL AND (%1$s, id) >= ($1.%2$s, $1.low_id) AND (%1$s, id) < ($2.%2$s, $2.low_id)
            GROUP BY CUBE (users.subscription_tier, users.role)',
            CASE whole.sort
                WHEN 'createdAt' THEN 'created_at'
                WHEN 'email' THEN 'lower(email)'
                ELSE 'left(coalesce(lower(full_name), ''''), 200)'
            END,
            CASE whole.sort WHEN 'createdAt' THEN 'low_time' ELSE 'low_text' END
        );
    END IF;
    EXECUTE format(
        'WITH kept AS (%s), gone AS (
            DELETE FROM user_range_counts
            WHERE (sort, low_time, low_text, low_id) = ($1.sort, $1.low_time, $1.low_text, $1.low_id)
            RETURNING subscription_tier, role, accounts
        ), counted AS (
            SELECT subscription_tier, role, sum(accounts) AS accounts FROM gone GROUP BY subscription_tier, role
        ), parted AS (
            SELECT subscription_tier, role, coalesce(kept.accounts, 0) AS below,
                coalesce(counted.accounts, 0) - coalesce(kept.accounts, 0) AS above
            FROM counted FULL JOIN kept USING (subscription_tier, role)
        )
        INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
        SELECT $1.sort, range.low_time, range.low_text, range.low_id, subscription_tier, role, range.accounts
        FROM parted, LATERAL (VALUES
            ($1.low_time, $1.low_text, $1.low_id, below),
            ($2.low_time, $2.low_text, $2.low_id, above)
        ) AS range (low_time, low_text, low_id, accounts)
        WHERE range.accounts <> 0', kept
    ) USING whole, upper;
END;
$$ LANGUAGE plpgsql;

-- Cuts up to sixteen ranges of about `size` accounts off a narrow range that has more than twice as many, or, if there is none, ranges
-- of about `narrow` times as many off a wide one. False if there is none of either, or nowhere to cut it; NULL if somebody is
-- counting. What is counted must be what others have committed until the lock was had: hence READ COMMITTED only.
DROP FUNCTION cut_user_range(INTEGER);
CREATE FUNCTION cut_user_range(size INTEGER, narrow INTEGER DEFAULT 64) RETURNS BOOLEAN AS $$
DECLARE
    large RECORD;
    whole user_ranges;
    upper user_ranges;
    accounts_left BIGINT;
    cuts INTEGER := 0;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'ranges are cut in READ COMMITTED only' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF NOT pg_try_advisory_xact_lock('user_ranges'::regclass::oid::bigint) THEN
        RETURN NULL;
    END IF;
    FOR large IN
        SELECT ROW(sort, low_time, low_text, low_id)::user_ranges AS range, sum(accounts) AS accounts, wished
        FROM user_range_counts, LATERAL (
            SELECT CASE WHEN sort LIKE '%/wide' THEN size::bigint * narrow ELSE size END AS wished
        ) AS width
        WHERE sort IN ('createdAt', 'email', 'fullName', 'createdAt/wide', 'email/wide', 'fullName/wide')
            AND subscription_tier = '' AND role = ''
        GROUP BY sort, low_time, low_text, low_id, wished HAVING sum(accounts) > 2 * wished
        ORDER BY sort LIKE '%/wide', sum(accounts) DESC
    LOOP
        whole := large.range;
        accounts_left := large.accounts;
        WHILE cuts < 16 AND accounts_left > 2 * large.wished LOOP
            upper := user_range_cut(whole, large.wished);
            EXIT WHEN upper.sort IS NULL;
            INSERT INTO user_ranges (sort, low_time, low_text, low_id) VALUES (upper.sort, upper.low_time, upper.low_text, upper.low_id);
            PERFORM part_user_range(whole, upper);
            whole := upper;
            cuts := cuts + 1;
            SELECT coalesce(sum(accounts), 0) INTO accounts_left FROM user_range_counts
            WHERE (sort, low_time, low_text, low_id) = (whole.sort, whole.low_time, whole.low_text, whole.low_id)
                AND subscription_tier = '' AND role = '';
        END LOOP;
        EXIT WHEN cuts > 0;
    END LOOP;
    IF cuts = 0 THEN
        RETURN false;
    END IF;
    -- Who holds the ranges as they were before must not count by them.
    UPDATE user_ranges SET low_id = low_id WHERE (low_time, low_text, low_id) = ('-infinity', '', '');
    RETURN true;
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION recount_user_ranges() RETURNS VOID AS $$
BEGIN
    PERFORM pg_advisory_xact_lock('user_ranges'::regclass::oid::bigint);
    DELETE FROM user_ranges;
    DELETE FROM user_range_counts;
    INSERT INTO user_ranges (sort) VALUES
        ('createdAt'), ('email'), ('fullName'), ('createdAt/wide'), ('email/wide'), ('fullName/wide');
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
    FOREACH signature IN ARRAY ARRAY['hold_user_ranges()', 'fold_user_range_counts(user_ranges[])',
        'place_in_wide_ranges(user_range_counts[])', 'place_users()', 'place_changed_user()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', signature, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
END;
$$;
