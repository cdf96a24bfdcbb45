-- The seed keeps its phase 2, the Mac app's one-time hand-off and its sync log, commented out. The service needs both,
-- so here they are as Prisma makes them from the commented models, names included.
--
-- The document gives them no indexes. Both are read by user, bridge tokens are cleared away by expiry and the log is
-- read by time, so each gets the two that the document would have given it.

CREATE TABLE bridge_tokens (
    id TEXT NOT NULL,
    token TEXT NOT NULL,
    user_id TEXT NOT NULL,
    session_data JSONB,
    client_ip TEXT,
    user_agent TEXT,
    expires_at TIMESTAMP(3) NOT NULL,
    used_at TIMESTAMP(3),
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT bridge_tokens_pkey PRIMARY KEY (id)
);

CREATE TABLE sync_logs (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_source TEXT NOT NULL,
    data JSONB,
    client_ip TEXT,
    user_agent TEXT,
    success BOOLEAN NOT NULL DEFAULT true,
    error_message TEXT,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT sync_logs_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX bridge_tokens_token_key ON bridge_tokens (token);

ALTER TABLE bridge_tokens ADD CONSTRAINT bridge_tokens_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE sync_logs ADD CONSTRAINT sync_logs_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE;

CREATE INDEX idx_bridge_tokens_user_id ON bridge_tokens (user_id);
CREATE INDEX idx_bridge_tokens_expires_at ON bridge_tokens (expires_at);

CREATE INDEX idx_sync_logs_user_id ON sync_logs (user_id);
CREATE INDEX idx_sync_logs_created_at ON sync_logs (created_at);
