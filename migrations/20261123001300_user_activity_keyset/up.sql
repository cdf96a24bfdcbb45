-- A person's timeline is read newest first, a page at a time, and a page begins where the last one ended. With the seed's index
-- on `user_id` alone every page sorts all that the person ever did. The index takes `created_at` and `id` in, which makes each
-- page a walk along it; it keeps its name, and with it all that the seed's index did.
--
-- Locks: writes to `user_activity` wait for one index build, reads only at the end, when the names change.

SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_user_activity_user_id_keyset ON user_activity (user_id, created_at DESC, id DESC);
DROP INDEX idx_user_activity_user_id;
ALTER INDEX idx_user_activity_user_id_keyset RENAME TO idx_user_activity_user_id;
