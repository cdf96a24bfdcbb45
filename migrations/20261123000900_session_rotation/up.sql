-- The seed stores refresh tokens as they are: whoever reads a dump signs in as anyone. And a session is one token for
-- its whole life: a stolen copy can't be told from the owner's, and "sign out" can only delete the row.
--
-- From here on `refresh_token` holds a SHA-256 digest in lower-case hexadecimal, and what is there is replaced by its
-- digest. The rest is what rotation needs:
--
--     generation      how often the refresh token has been exchanged; an exchange is a compare-and-set on it
--     salt            random, one for each session; the key that authenticates its tokens is derived from it and
--                     the server's secret
--     last_used_at    when the current refresh token was issued: the idle limit and the grace count from here
--     user_agent, ip_address   where the session was begun, for the user's own list
--     revoked_at, revoked_reason   a session ends by a mark, not by deletion; the check `future_expiration` forbids
--                     ending one by setting `expires_at` back
--
-- The partial index on `revoked_at` serves the replica that starts, or lost its connection, and asks what was revoked
-- while it was not listening. A user's sessions are found by `idx_sessions_user_id`.
--
-- Locks: the digests change every row, so the table is written anew in any case. The columns come empty and are filled
-- in that one pass; after an UPDATE, the tokens themselves would stay in the file until a vacuum. Other transactions
-- wait meanwhile; the table is small, as sessions end. See the README for how long.

SET LOCAL lock_timeout = '5s';

ALTER TABLE sessions
    ADD COLUMN generation INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN salt BYTEA,
    ADD COLUMN user_agent TEXT,
    ADD COLUMN ip_address TEXT,
    ADD COLUMN last_used_at TIMESTAMPTZ(3),
    ADD COLUMN revoked_at TIMESTAMPTZ(3),
    ADD COLUMN revoked_reason TEXT;

ALTER TABLE sessions
    ALTER COLUMN refresh_token TYPE TEXT USING encode(sha256(convert_to(refresh_token, 'UTF8')), 'hex'),
    ALTER COLUMN salt TYPE BYTEA USING uuid_send(gen_random_uuid()),
    ALTER COLUMN salt SET DEFAULT uuid_send(gen_random_uuid()),
    ALTER COLUMN salt SET NOT NULL,
    ALTER COLUMN last_used_at TYPE TIMESTAMPTZ(3) USING created_at,
    ALTER COLUMN last_used_at SET DEFAULT CURRENT_TIMESTAMP,
    ALTER COLUMN last_used_at SET NOT NULL,
    ADD CONSTRAINT valid_revoked_reason CHECK (
        revoked_reason IN ('sign_out', 'user', 'admin', 'reuse', 'password_change', 'disabled', 'deleted')
    ),
    ADD CONSTRAINT revoked_with_reason CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL));

CREATE INDEX idx_sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
