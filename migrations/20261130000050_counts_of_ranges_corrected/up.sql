-- What databases need whose ranges are of an earlier form: rows of one tier with all roles and of one role with all tiers were missing of what
-- was counted before there were wide ranges; a trigger named columns, which could have no other type with it. And for all: what one statement
-- changes many of is folded more seldom, and what has piled up where nobody writes any more is folded when there is nothing to cut.
--
-- Locks, for a moment: `users`, against writing; `user_ranges` and `user_range_counts`. It waits for who cuts ranges. Who sees the ranges as they
-- were before fails as after a cut (40001).

SET LOCAL lock_timeout = '5s';

LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE;
DO $$ BEGIN PERFORM pg_advisory_xact_lock('user_ranges'::regclass::oid::bigint); END; $$;
UPDATE user_ranges SET low_id = low_id WHERE (low_time, low_text, low_id) = ('-infinity', '', '');

-- No range has more accounts than an INTEGER counts.
ALTER TABLE user_range_counts ALTER COLUMN accounts TYPE INTEGER;

DELETE FROM user_range_counts WHERE subscription_tier = '' OR role = '';
INSERT INTO user_range_counts (sort, low_time, low_text, low_id, subscription_tier, role, accounts)
SELECT sort, low_time, low_text, low_id, coalesce(subscription_tier, ''), coalesce(role, ''), sum(accounts) FROM user_range_counts
GROUP BY sort, low_time, low_text, low_id, GROUPING SETS ((subscription_tier), (role), ()) HAVING sum(accounts) <> 0;

-- Its conditions are in its function.
DROP TRIGGER place_changed_users ON users;
CREATE TRIGGER place_changed_users AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION place_changed_user();

-- Adds to the wide ranges what was placed in narrow ones, and folds both now and then: by that chance.
DROP FUNCTION IF EXISTS place_in_wide_ranges(user_range_counts[]);
CREATE OR REPLACE FUNCTION place_in_wide_ranges(placed user_range_counts[], chance DOUBLE PRECISION) RETURNS VOID AS $$
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
    IF random() < chance AND current_setting('transaction_isolation') = 'read committed' THEN
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
    IF placed IS NOT NULL THEN
        PERFORM place_in_wide_ranges(placed, 0.0625);
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

-- Once for each row: what one statement changes many of is folded too seldom for it to read its own rows again and again.
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
        PERFORM place_in_wide_ranges(placed, 0.001);
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

-- Cuts up to sixteen ranges of about `size` accounts off a narrow range that has more than twice as many, or, if there is none, ranges
-- of about `narrow` times as many off a wide one. If there is none of either, or nowhere to cut it, it folds what has piled up, and says
-- false. NULL if somebody is counting. What is counted must be what others have committed until the lock was had: hence READ COMMITTED only.
CREATE OR REPLACE FUNCTION cut_user_range(size INTEGER, narrow INTEGER DEFAULT 64) RETURNS BOOLEAN AS $$
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
        PERFORM fold_user_range_counts(ARRAY(
            SELECT ROW(sort, low_time, low_text, low_id)::user_ranges FROM user_range_counts
            GROUP BY sort, low_time, low_text, low_id HAVING count(*) > 64
        ));
        RETURN false;
    END IF;
    -- Who holds the ranges as they were before must not count by them.
    UPDATE user_ranges SET low_id = low_id WHERE (low_time, low_text, low_id) = ('-infinity', '', '');
    RETURN true;
END;
$$ LANGUAGE plpgsql;

-- Who runs the service cuts, and so folds.
GRANT EXECUTE ON FUNCTION fold_user_range_counts(user_ranges[]) TO PUBLIC;

DO $$
DECLARE
    signature TEXT;
BEGIN
    FOREACH signature IN ARRAY ARRAY['place_in_wide_ranges(user_range_counts[], double precision)', 'place_users()',
        'place_changed_user()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', signature, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    END LOOP;
END;
$$;
