-- A wrong WHERE showed one person the rows of another: nothing but the query stood between them. Row-level security does now, as a second
-- wall: what the service does for one person it does as the role `subtle_user`, with `app.current_user_id` set, both for one
-- transaction alone (SET LOCAL). The seed's own policies do not work: they compare TEXT with UUID, call any paying customer an
-- administrator, and recurse without end.
--
-- On each table with a `user_id`, and on `users`: everybody who was granted something may use it as before (`everybody`), and
-- `subtle_user` only on rows of that person (`own_rows`, restrictive, so that no other policy can widen it). A policy for everybody costs
-- no query anything: a constant is planned away. The role is neither owner nor superuser and has no BYPASSRLS, so the tables need
-- not be FORCEd, which would break every `pg_dump` by their owner.
--
-- A function, for it is run again where tables come, and where the role could not be made: that needs CREATEROLE. Without it nothing
-- is changed, the function answers false, and the service says so at its start. `subtle_user` may read what holds no secret, and write what
-- the sync log needs. Whoever migrates may act as it, without having its policies: membership without inheritance, from PostgreSQL 16 on.
--
-- Locks: each table for a moment, all in one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION protect_rows() RETURNS BOOLEAN AS $$
DECLARE
    relation REGCLASS;
    owner NAME;
    readable TEXT;
    is_protected BOOLEAN;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'subtle_user') THEN
        BEGIN
            CREATE ROLE subtle_user NOLOGIN;
        EXCEPTION
            -- Another database of this server was migrated at the same moment.
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN RETURN false;
        END;
    END IF;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        BEGIN
            IF current_setting('server_version_num')::int >= 160000 THEN
                EXECUTE 'GRANT subtle_user TO CURRENT_USER WITH INHERIT FALSE, SET TRUE';
            ELSE
                GRANT subtle_user TO CURRENT_USER;
            END IF;
        EXCEPTION WHEN insufficient_privilege THEN
            IF NOT pg_has_role(current_user, 'subtle_user', 'MEMBER') THEN
                RETURN false;
            END IF;
        END;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO subtle_user', current_schema());
    FOR relation, owner, is_protected IN
        SELECT c.oid, a.attname, c.relrowsecurity FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = pg_catalog.quote_ident(current_schema()::text)::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
            AND (a.attname = 'user_id' OR (c.relname = 'users' AND a.attname = 'id'))
        ORDER BY c.relname
    LOOP
        IF NOT is_protected THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
            EXECUTE format('DROP POLICY IF EXISTS everybody ON %s', relation);
            EXECUTE format('DROP POLICY IF EXISTS own_rows ON %s', relation);
            EXECUTE format('CREATE POLICY everybody ON %s USING (true)', relation);
            EXECUTE format(
                'CREATE POLICY own_rows ON %s AS RESTRICTIVE TO subtle_user
                    USING (%I = current_setting(''app.current_user_id'', true))', relation, owner);
        END IF;
        -- What support writes about a person is not theirs.
        CONTINUE WHEN relation IN ('admin_notes'::regclass, 'audit_logs'::regclass);
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO readable FROM pg_attribute
        WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
            AND attname NOT IN ('password_hash', 'refresh_token', 'token', 'digest', 'salt', 'sealed');
        EXECUTE format('GRANT SELECT (%s) ON %s TO subtle_user', readable, relation);
    END LOOP;
    GRANT INSERT ON sync_logs TO subtle_user;
    GRANT INSERT, UPDATE ON sync_places TO subtle_user;
    RETURN true;
END;
$$ LANGUAGE plpgsql;

DO $$ BEGIN PERFORM protect_rows(); END; $$;
