-- How many people were active today was told by reading all that they did today. Triggers keep who was active on which day (UTC), and how
-- many these are, whoever writes: by rows that are only added and folded by the way, as in `usage_counts`. Who is erased is not
-- counted. The service takes away days that are over.
--
-- A person's first deed of a day waits for another of theirs that is not committed; all later ones wait for nobody.
--
-- Locks: `users` and `user_activity`, each for a moment.

SET LOCAL lock_timeout = '5s';

-- In the order in which an erasure takes them.
LOCK TABLE users, user_activity IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE active_users (
    day DATE NOT NULL,
    account TEXT NOT NULL,

    CONSTRAINT active_users_pkey PRIMARY KEY (day, account)
);

CREATE TABLE active_user_counts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day DATE NOT NULL,
    accounts BIGINT NOT NULL
);
CREATE INDEX idx_active_user_counts_day ON active_user_counts (day);

CREATE FUNCTION fold_active_user_counts() RETURNS VOID AS $$
    WITH gone AS (
        DELETE FROM active_user_counts WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM active_user_counts LIMIT 2000 FOR UPDATE SKIP LOCKED
        )) RETURNING *
    )
    INSERT INTO active_user_counts (day, accounts)
    SELECT day, sum(accounts) FROM gone GROUP BY day HAVING sum(accounts) <> 0
$$ LANGUAGE sql;

-- What comes: `rows` are those of the statement.
CREATE FUNCTION count_active_users() RETURNS TRIGGER AS $$
BEGIN
    WITH fresh AS (
        INSERT INTO active_users (day, account)
        SELECT DISTINCT (rows.created_at AT TIME ZONE 'UTC')::date AS day, rows.user_id
        FROM rows JOIN users ON users.id = rows.user_id AND users.deleted_at IS NULL
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING
        RETURNING day
    )
    INSERT INTO active_user_counts (day, accounts) SELECT day, count(*) FROM fresh GROUP BY day;
    IF random() < 0.01 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_active_user_counts();
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

-- What goes: who has nothing left on a day was not active on it.
CREATE FUNCTION count_inactive_users() RETURNS TRIGGER AS $$
BEGIN
    WITH gone AS (
        DELETE FROM active_users AS active
        USING (SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date AS day, user_id FROM rows) AS touched
        WHERE active.day = touched.day AND active.account = touched.user_id AND NOT EXISTS (
            SELECT FROM user_activity WHERE user_id = touched.user_id
                AND created_at >= touched.day::timestamp AT TIME ZONE 'UTC'
                AND created_at < (touched.day + 1)::timestamp AT TIME ZONE 'UTC'
        )
        RETURNING active.day
    )
    INSERT INTO active_user_counts (day, accounts) SELECT day, -count(*) FROM gone GROUP BY day;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

CREATE FUNCTION count_erased_user() RETURNS TRIGGER AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        WITH gone AS (
            DELETE FROM active_users
            WHERE account = NEW.id AND day = ANY (ARRAY(SELECT DISTINCT day FROM active_user_counts))
            RETURNING day
        )
        INSERT INTO active_user_counts (day, accounts) SELECT day, -1 FROM gone;
    ELSE
        WITH fresh AS (
            INSERT INTO active_users (day, account)
            SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date, user_id FROM user_activity
            WHERE user_id = NEW.id
                AND created_at >= (SELECT min(day) FROM active_user_counts)::timestamp AT TIME ZONE 'UTC'
            ON CONFLICT DO NOTHING
            RETURNING day
        )
        INSERT INTO active_user_counts (day, accounts) SELECT day, 1 FROM fresh;
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

-- Nobody was active.
CREATE FUNCTION count_no_activity() RETURNS TRIGGER AS $$
BEGIN
    TRUNCATE active_users, active_user_counts;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER;

DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['fold_active_user_counts', 'count_active_users', 'count_inactive_users', 'count_erased_user',
        'count_no_activity'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', name);
    END LOOP;
END;
$$;

CREATE TRIGGER count_new_activity AFTER INSERT ON user_activity
    REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_active_users();
CREATE TRIGGER count_gone_activity AFTER DELETE ON user_activity
    REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_inactive_users();
CREATE TRIGGER count_changed_activity AFTER UPDATE ON user_activity
    REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_active_users();
CREATE TRIGGER count_replaced_activity AFTER UPDATE ON user_activity
    REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION count_inactive_users();
CREATE TRIGGER count_no_activity AFTER TRUNCATE ON user_activity FOR EACH STATEMENT EXECUTE FUNCTION count_no_activity();
CREATE TRIGGER count_erased_users AFTER UPDATE ON users FOR EACH ROW
    WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL)) EXECUTE FUNCTION count_erased_user();
