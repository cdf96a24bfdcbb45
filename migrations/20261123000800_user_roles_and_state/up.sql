-- In the seed an admin is whoever has the tier `enterprise`, so any paying customer is an admin. What people pay and
-- what they may do are two things: the role gets a column of its own, and nobody is an admin until made one.
--
-- An account can be disabled by an admin, and erased. Erasing keeps the row as a tombstone, so that ledger and usage
-- keep something to refer to; `deleted_at` says when.
--
-- The partial indexes hold few rows each: erased accounts, for a replica that starts and asks which of them are recent
-- enough to have access tokens left; and the staff, for the admin list's filter.
--
-- Locks: constant defaults are kept in the catalogue, so nothing is rewritten; the check and the indexes scan once.

SET LOCAL lock_timeout = '5s';

ALTER TABLE users
    ADD COLUMN role TEXT NOT NULL DEFAULT 'user'
        CONSTRAINT valid_role CHECK (role IN ('user', 'support', 'admin')),
    ADD COLUMN disabled_at TIMESTAMPTZ(3),
    ADD COLUMN deleted_at TIMESTAMPTZ(3);

CREATE INDEX idx_users_deleted_at ON users (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX idx_users_role ON users (role) WHERE role <> 'user';
