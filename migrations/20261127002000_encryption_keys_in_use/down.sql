-- The older version knows nothing of keys: values that are encrypted stay so, and it shows them as they are. Make them plain first, with
-- `plain` in front of the keys.

SET LOCAL lock_timeout = '5s';

DROP INDEX idx_bridge_tokens_session_data_key;
DROP INDEX idx_users_avatar_url_key;
