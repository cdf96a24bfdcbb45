-- The document adds `idx_users_email` on users(email), where Prisma's unique key `users_email_key` already is an index
-- on the same column. The second one answers no query that the first does not, and costs a write for every new
-- account. The unique key is its counterpart.

SET LOCAL lock_timeout = '5s';

DROP INDEX idx_users_email;
