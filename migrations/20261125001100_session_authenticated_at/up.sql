-- What is sensitive asks for a sign-in that is not old, and a session may be months old: it keeps when its owner last showed that it
-- is them. NULL, as other programs leave it, is when the session began.

SET LOCAL lock_timeout = '5s';

ALTER TABLE sessions ADD COLUMN authenticated_at TIMESTAMPTZ(3);
