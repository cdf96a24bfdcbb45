-- pg_trgm goes as well, unless something else in the database uses it or it belongs to someone else.

SET LOCAL lock_timeout = '5s';

DROP INDEX idx_users_full_name_trigrams;
DROP INDEX idx_users_email_trigrams;
DROP INDEX idx_users_full_name;

DROP INDEX idx_users_created_at;
CREATE INDEX idx_users_created_at ON users (created_at);

DO $$
BEGIN
    DROP EXTENSION pg_trgm;
EXCEPTION
    WHEN dependent_objects_still_exist OR insufficient_privilege THEN
        RAISE NOTICE 'pg_trgm stays: %', SQLERRM;
END;
$$;
