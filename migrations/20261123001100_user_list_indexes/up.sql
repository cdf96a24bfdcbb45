-- The seed's user list is ordered by `created_at` alone and pages by offset: rows of the same millisecond repeat or
-- vanish between pages, and a late page reads all the earlier ones. The list orders by a key and `id`, and a page
-- begins where the last one ended (keyset). Each order has an index, read in either direction:
--
--     createdAt   created_at, id. It takes over the name `idx_users_created_at`, and with it all that the seed's
--                 index on `created_at` alone did.
--     email       lower(email), which is unique and so needs no `id`: `users_email_lower_key` is there already.
--     fullName    left(coalesce(lower(full_name), ''), 200), id. A missing name compares with nothing, not even
--                 itself, so it counts as an empty one. Cut to 200 characters, because an index entry may not exceed
--                 2,700 bytes and the column has no limit: a longer name must not make an INSERT fail. Queries write
--                 the expression exactly so, in ORDER BY and in the comparison.
--
-- Search by part of an address or a name (`lower(…) LIKE '%part%'`) reads the whole table without the trigram indexes.
-- A part of one or two characters has no trigram and reads it still.
--
-- pg_trgm comes with PostgreSQL and needs no superuser; some distributions pack it apart, and there the migration says
-- what to install.
--
-- Locks: writes to `users` wait for four index builds, reads only at the end, when the names change; see the README for
-- how long.

SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        RAISE EXCEPTION 'the PostgreSQL extension pg_trgm is not installed on the server: install its contrib package (often called postgresql-contrib), then migrate again'
            USING ERRCODE = 'feature_not_supported';
    END IF;
END;
$$;

-- It may be there already, and then a notice would only alarm.
SET LOCAL client_min_messages = 'warning';
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE INDEX idx_users_full_name ON users ((left(coalesce(lower(full_name), ''), 200)), id);
CREATE INDEX idx_users_email_trigrams ON users USING gin (lower(email) gin_trgm_ops);
CREATE INDEX idx_users_full_name_trigrams ON users USING gin (lower(full_name) gin_trgm_ops);

CREATE INDEX idx_users_created_at_id ON users (created_at DESC, id DESC);
DROP INDEX idx_users_created_at;
ALTER INDEX idx_users_created_at_id RENAME TO idx_users_created_at;
