-- Roles and the marks of disabled and erased accounts are lost: a disabled account can sign in again.

SET LOCAL lock_timeout = '5s';

DROP INDEX idx_users_role;
DROP INDEX idx_users_deleted_at;

ALTER TABLE users
    DROP COLUMN deleted_at,
    DROP COLUMN disabled_at,
    DROP COLUMN role;
