-- The document's own INSERTs name neither `id` nor `updated_at` and fail with "null value in column": Prisma fills
-- both in its client, so the database knows no default. From here on it does, and raw SQL works.
--
-- cuid() makes ids of the shape that Prisma makes: 25 characters of lower-case base 36.
--
--     c  tttttttt  nnnn     ffff         rrrrrrrr
--        time, ms  counter  fingerprint  random
--
-- The time comes first, so ids made later sort later, to the millisecond. The counter tells ids of one millisecond
-- apart, the fingerprint (a hash of database and backend) those of two databases, and the random part, from the
-- server's strong generator, makes them hard to guess. They are ids all the same, and never serve as secrets. The
-- service makes its own ids; these defaults are for SQL by hand and for imports.

SET LOCAL lock_timeout = '5s';

-- Runs through 36^4 values and starts again, which is all that four characters hold.
CREATE SEQUENCE cuid_counter AS INTEGER MINVALUE 0 MAXVALUE 1679615 CYCLE;

-- A role that may insert into a table needs the counter too; knowing its value gives nothing away.
GRANT USAGE ON SEQUENCE cuid_counter TO PUBLIC;

-- The lowest `width` digits of `value` in base 36, padded with zeros.
CREATE FUNCTION cuid_base36(value BIGINT, width INTEGER) RETURNS TEXT AS $$
DECLARE
    digits CONSTANT TEXT := '0123456789abcdefghijklmnopqrstuvwxyz';
    rest BIGINT := value;
    result TEXT := '';
BEGIN
    FOR i IN 1..width LOOP
        result := substr(digits, 1 + (rest % 36)::INTEGER, 1) || result;
        rest := rest / 36;
    END LOOP;
    RETURN result;
END;
$$ LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE;

-- The random part takes the last 15 hexadecimal digits of a version 4 UUID: 60 bits, all of them random.
CREATE FUNCTION cuid() RETURNS TEXT AS $$
    SELECT 'c'
        || cuid_base36(floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT, 8)
        || cuid_base36(nextval('cuid_counter'), 4)
        || cuid_base36(hashtext(current_database() || ' ' || pg_backend_pid())::BIGINT + 2147483648, 4)
        || cuid_base36(('x' || right(replace(gen_random_uuid()::TEXT, '-', ''), 15))::BIT(60)::BIGINT, 8);
$$ LANGUAGE sql VOLATILE;

ALTER TABLE users
    ALTER COLUMN id SET DEFAULT cuid(),
    ALTER COLUMN updated_at SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE sessions ALTER COLUMN id SET DEFAULT cuid();
ALTER TABLE user_activity ALTER COLUMN id SET DEFAULT cuid();
ALTER TABLE admin_notes ALTER COLUMN id SET DEFAULT cuid();
ALTER TABLE user_usage_metrics ALTER COLUMN id SET DEFAULT cuid();
ALTER TABLE billing_history ALTER COLUMN id SET DEFAULT cuid();
ALTER TABLE audit_logs ALTER COLUMN id SET DEFAULT cuid();
ALTER TABLE bridge_tokens ALTER COLUMN id SET DEFAULT cuid();
ALTER TABLE sync_logs ALTER COLUMN id SET DEFAULT cuid();
