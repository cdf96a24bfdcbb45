-- Revoked sessions are deleted first: without the mark they would be alive again. The digests stay, as no one can
-- turn them back into tokens: the sessions that are left stay in the table, but nobody holds a token that fits.

SET LOCAL lock_timeout = '5s';

DELETE FROM sessions WHERE revoked_at IS NOT NULL;

DROP INDEX idx_sessions_revoked_at;

ALTER TABLE sessions
    DROP COLUMN revoked_reason,
    DROP COLUMN revoked_at,
    DROP COLUMN last_used_at,
    DROP COLUMN ip_address,
    DROP COLUMN user_agent,
    DROP COLUMN salt,
    DROP COLUMN generation;
