-- How many accounts and usage rows there are was counted anew at each page of the user list and at each look at the figures: the larger
-- the tables, the slower. Triggers keep count now, whoever writes: accounts in use by their day (UTC), tier and role, and rows of
-- usage.
--
-- Writers append what they add or take away, so that none waits for another, and the sum of all rows is the count. About every
-- hundredth folds what nobody else is folding into fewer rows, in its own transaction. What was there before is counted by the next
-- migration, without a lock; until then the counts are too low.
--
-- The functions act as their owner: whoever may write the rows need have no right to the counts. `pg_temp` comes last, so that nobody's
-- temporary table takes the place of ours.
--
-- Locks: `users` and `user_usage_metrics`, each for a moment.

SET LOCAL lock_timeout = '5s';

CREATE TABLE user_counts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day DATE NOT NULL,
    subscription_tier TEXT NOT NULL,
    role TEXT NOT NULL,
    accounts BIGINT NOT NULL
);
CREATE INDEX idx_user_counts_day ON user_counts (day);

CREATE TABLE usage_counts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    events BIGINT NOT NULL
);

CREATE FUNCTION fold_user_counts() RETURNS VOID AS $$
    WITH gone AS (
        DELETE FROM user_counts WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM user_counts WHERE day IN (
                SELECT day FROM user_counts GROUP BY day HAVING count(*) > 20 LIMIT 100
            ) LIMIT 20000 FOR UPDATE SKIP LOCKED
        )) RETURNING *
    )
    INSERT INTO user_counts (day, subscription_tier, role, accounts)
    SELECT day, subscription_tier, role, sum(accounts) FROM gone
    GROUP BY day, subscription_tier, role HAVING sum(accounts) <> 0
$$ LANGUAGE sql;

CREATE FUNCTION fold_usage_counts() RETURNS VOID AS $$
    WITH gone AS (
        DELETE FROM usage_counts WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM usage_counts LIMIT 2000 FOR UPDATE SKIP LOCKED
        )) RETURNING *
    )
    INSERT INTO usage_counts (events) SELECT coalesce(sum(events), 0) FROM gone HAVING count(*) > 0
$$ LANGUAGE sql;

-- One for what comes and one for what goes: `rows` are those of the statement.
CREATE FUNCTION count_users() RETURNS TRIGGER AS $$
BEGIN
    INSERT INTO user_counts (day, subscription_tier, role, accounts)
    SELECT (created_at AT TIME ZONE 'UTC')::date, subscription_tier, role,
        CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM rows WHERE deleted_at IS NULL
    GROUP BY 1, 2, 3;
    IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_user_counts();
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

CREATE FUNCTION count_changed_user() RETURNS TRIGGER AS $$
BEGIN
    INSERT INTO user_counts (day, subscription_tier, role, accounts)
    SELECT (version.created_at AT TIME ZONE 'UTC')::date, version.subscription_tier, version.role, version.accounts
    FROM (VALUES
        (OLD.created_at, OLD.subscription_tier, OLD.role, OLD.deleted_at, -1),
        (NEW.created_at, NEW.subscription_tier, NEW.role, NEW.deleted_at, 1)
    ) AS version (created_at, subscription_tier, role, deleted_at, accounts)
    WHERE version.deleted_at IS NULL;
    IF random() < 0.001 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_user_counts();
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

CREATE FUNCTION count_usage() RETURNS TRIGGER AS $$
BEGIN
    INSERT INTO usage_counts (events)
    SELECT CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END FROM rows HAVING count(*) > 0;
    IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_usage_counts();
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

-- Nothing is left to count. `users` can't be truncated: the audit trail refers to it.
CREATE FUNCTION count_no_usage() RETURNS TRIGGER AS $$
BEGIN
    TRUNCATE usage_counts;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['fold_user_counts', 'fold_usage_counts', 'count_users', 'count_changed_user', 'count_usage', 'count_no_usage'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', name);
    END LOOP;
END;
$$;

CREATE TRIGGER count_new_users AFTER INSERT ON users
    REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_users();
CREATE TRIGGER count_gone_users AFTER DELETE ON users
    REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_users();
CREATE TRIGGER count_changed_users AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at OR OLD.created_at <> NEW.created_at
        OR OLD.subscription_tier <> NEW.subscription_tier OR OLD.role <> NEW.role)
    EXECUTE FUNCTION count_changed_user();

CREATE TRIGGER count_new_usage AFTER INSERT ON user_usage_metrics
    REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_usage();
CREATE TRIGGER count_gone_usage AFTER DELETE ON user_usage_metrics
    REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_usage();
CREATE TRIGGER count_no_usage AFTER TRUNCATE ON user_usage_metrics FOR EACH STATEMENT EXECUTE FUNCTION count_no_usage();
