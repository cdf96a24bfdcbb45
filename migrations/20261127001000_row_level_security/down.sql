-- Nothing but the queries stands between people again. The role stays: other databases of the server may use it.

SET LOCAL lock_timeout = '5s';

DO $$
DECLARE
    relation REGCLASS;
BEGIN
    FOR relation IN
        SELECT polrelid FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE polname = 'own_rows' AND c.relnamespace = quote_ident(current_schema())::regnamespace
    LOOP
        EXECUTE format('DROP POLICY own_rows ON %s', relation);
        EXECUTE format('DROP POLICY everybody ON %s', relation);
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', relation);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'subtle_user') THEN
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM subtle_user', current_schema());
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM subtle_user', current_schema());
    END IF;
END;
$$;

DROP FUNCTION protect_rows();
