-- What a person did most was told by reading each row of theirs. This index holds the action, and as equal keys are kept once it takes some
-- hundred pages for hundreds of thousands of rows.
--
-- Locks: writes to `user_activity` wait for an index build.

SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_user_activity_user_id_action ON user_activity (user_id, action);
