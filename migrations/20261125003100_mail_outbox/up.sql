-- A letter that is sent while its cause is being written may tell of what never happened, and one that is sent after it may never be
-- sent. So it commits with its cause, as a row, and a worker sends it: `due_at` is when it is tried next, and set ahead while somebody
-- tries, so that the letter of a process that died is tried again. A letter that was sent leaves no row. One that was given up leaves
-- what it was and why, without its addresses.
--
-- `mail_requests` are wishes for a letter by somebody who knows no more than an address. They are written without a look at `users`,
-- so that the answer takes as long whether there is such an account or not; the worker makes letters of them, or nothing.

CREATE TABLE mail_outbox (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT,
    token_id TEXT,
    new_email TEXT,
    user_agent TEXT,
    ip_address TEXT,
    state TEXT NOT NULL DEFAULT 'waiting',
    tries INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    due_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT mail_outbox_pkey PRIMARY KEY (id),
    CONSTRAINT mail_outbox_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT valid_state CHECK (state IN ('waiting', 'failed')),
    CONSTRAINT recipient_while_waiting CHECK ((state = 'waiting') = (recipient IS NOT NULL))
);

CREATE INDEX idx_mail_outbox_state_due_at ON mail_outbox (state, due_at, id);
CREATE INDEX idx_mail_outbox_user_id ON mail_outbox (user_id);

CREATE TABLE mail_requests (
    id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    email TEXT NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT mail_requests_pkey PRIMARY KEY (id),
    CONSTRAINT valid_purpose CHECK (purpose IN ('verify_email', 'reset_password'))
);

CREATE INDEX idx_mail_requests_created_at ON mail_requests (created_at, id);
