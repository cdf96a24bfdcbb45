SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_users_created_at_bare ON users (created_at DESC, id DESC);
DROP INDEX idx_users_created_at;
ALTER INDEX idx_users_created_at_bare RENAME TO idx_users_created_at;
