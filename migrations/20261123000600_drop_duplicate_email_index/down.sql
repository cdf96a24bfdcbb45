-- The duplicate comes back.

SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_users_email ON users (email);
