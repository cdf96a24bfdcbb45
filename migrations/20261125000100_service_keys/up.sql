-- Who posts usage, activity and bills is a program: it has a key of its own instead of a person's session. The key is shown once
-- and kept as its SHA-256, so a dump lets nobody in. Audit rows name it and the administrator who made it, whose role it outlives.
-- A key that was revoked stays, because audit rows name it.

CREATE TABLE service_keys (
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    last_used_at TIMESTAMPTZ(3),
    revoked_at TIMESTAMPTZ(3),

    CONSTRAINT service_keys_pkey PRIMARY KEY (id),
    CONSTRAINT service_keys_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE RESTRICT
);

CREATE UNIQUE INDEX service_keys_digest_key ON service_keys (digest);
CREATE INDEX idx_service_keys_created_by ON service_keys (created_by);
