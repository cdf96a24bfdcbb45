-- On the way to a page far behind, each account that is skipped was read, to see whether it is erased and of the tier and role that are asked
-- for. The index of the list's own order holds what is looked at now.
--
-- Locks: writes to `users` wait for an index build.

SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_users_created_at_covered ON users (created_at DESC, id DESC) INCLUDE (deleted_at, subscription_tier, role);
DROP INDEX idx_users_created_at;
ALTER INDEX idx_users_created_at_covered RENAME TO idx_users_created_at;
