SET LOCAL lock_timeout = '5s';

DROP INDEX idx_user_activity_user_id;
CREATE INDEX idx_user_activity_user_id ON user_activity (user_id);
