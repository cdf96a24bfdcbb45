-- The role writes the sync log alone again, and reads nothing of the audit trail.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION protect_rows() RETURNS BOOLEAN AS $$
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

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'subtle_user') THEN
        REVOKE UPDATE (full_name, avatar_url, updated_at) ON users FROM subtle_user;
        REVOKE UPDATE (revoked_at, revoked_reason) ON sessions FROM subtle_user;
        REVOKE DELETE ON imported_refresh_tokens FROM subtle_user;
        REVOKE INSERT ON bridge_tokens FROM subtle_user;
        REVOKE SELECT (id, user_id, subject_id, action, created_at) ON audit_logs FROM subtle_user;
    END IF;
END;
$$;
