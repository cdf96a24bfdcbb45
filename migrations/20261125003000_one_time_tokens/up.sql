-- Who follows a link in a letter shows that the mailbox is theirs. A row is what is kept of the token in the link: a digest, and a
-- random salt from which the server computes the token again with its secret, which the database never sees. So a dump holds nothing
-- that could be presented. A user has one of each purpose at most: a newer one takes the older one's place, and a used one is gone.
-- `email` is the mailbox that it was sent to.

CREATE TABLE one_time_tokens (
    user_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    id TEXT NOT NULL,
    digest TEXT NOT NULL,
    salt BYTEA NOT NULL,
    email TEXT NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT one_time_tokens_pkey PRIMARY KEY (user_id, purpose),
    CONSTRAINT one_time_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT valid_purpose CHECK (purpose IN ('verify_email', 'change_email', 'reset_password')),
    CONSTRAINT future_expiry CHECK (expires_at > created_at)
);

CREATE UNIQUE INDEX one_time_tokens_digest_key ON one_time_tokens (digest);
-- Which have expired.
CREATE INDEX idx_one_time_tokens_expires_at ON one_time_tokens (expires_at);
