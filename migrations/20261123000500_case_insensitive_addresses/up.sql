-- Two things are wrong with addresses in the seed.
--
-- `A@x.com` and `a@x.com` are two accounts, while every mail provider takes them for one. The domain stores new
-- addresses in lower case; the unique index on lower(email) holds the rule for whatever else writes here.
-- `users_email_key` stays: Prisma's findUnique and upsert need a unique key on the column itself. Where two accounts
-- already differ by case alone the migration stops and names them, as only a person can say which one is right.
--
-- The check refuses addresses that exist: `o'brien@example.com`, and all domains that end in an internationalised
-- name (`.xn--p1ai`). It now takes every character that RFC 5321 allows in an unquoted local part, and any letters,
-- digits and hyphens after the last dot. It still takes all that the seed's check took, double dots among them, so
-- that no account is refused that is already there; which addresses are good enough for a new account is decided in
-- the domain, more strictly. New is the limit of 254 characters, the longest address that SMTP can carry; it also
-- keeps addresses short enough for an index. The tombstones of erased accounts, `deleted+<user id>@erased.invalid`,
-- pass, whatever the length of their local part.
--
-- Locks: `users` for one scan and one index build; see the README for how long.

SET LOCAL lock_timeout = '5s';

DO $$
DECLARE
    clashes BIGINT;
    examples TEXT;
    too_long BIGINT;
BEGIN
    SELECT count(*), string_agg(format('%s (%s accounts)', address, accounts), ', ' ORDER BY address)
            FILTER (WHERE place <= 5)
        INTO clashes, examples
        FROM (
            SELECT lower(email) AS address, count(*) AS accounts, row_number() OVER (ORDER BY lower(email)) AS place
            FROM users
            GROUP BY lower(email)
            HAVING count(*) > 1
        ) AS clash;
    IF clashes > 0 THEN
        RAISE EXCEPTION '% e-mail address(es) belong to several accounts that differ by case alone: %; change or remove the surplus accounts, then migrate again',
            clashes, examples || CASE WHEN clashes > 5 THEN ', …' ELSE '' END
            USING ERRCODE = 'unique_violation';
    END IF;

    SELECT count(*), (array_agg(id ORDER BY id))[1] INTO too_long, examples FROM users WHERE length(email) > 254;
    IF too_long > 0 THEN
        RAISE EXCEPTION '% e-mail address(es) have more than 254 characters, first that of the user with the id %; change them, then migrate again',
            too_long, examples
            USING ERRCODE = 'check_violation';
    END IF;
END;
$$;

CREATE UNIQUE INDEX users_email_lower_key ON users (lower(email));

ALTER TABLE users
    DROP CONSTRAINT valid_email,
    ADD CONSTRAINT valid_email CHECK (
        length(email) <= 254
        AND email ~ '^[A-Za-z0-9.!#$%&''*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]{1,63}$'
    );
