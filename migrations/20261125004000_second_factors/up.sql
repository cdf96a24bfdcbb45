-- Whoever learns a password is in. An account may ask for a code as well, from an app that its owner carries (TOTP, RFC 6238), or one of
-- ten recovery codes. `sealed` is the app's secret, encrypted by a key that the database never sees; `digest` is the SHA-256 of a
-- recovery code, which has 120 bits. So a dump holds nothing that could be presented. `last_step` is the half minute of the last code
-- that was taken: none is taken twice.
--
-- `users` tells since when a code is asked for, in the row that every sign-in reads; `sessions` whether one was shown.
--
-- Locks: none for long. The columns are added without reading the tables, and the check is validated beside writes.

SET LOCAL lock_timeout = '5s';

CREATE TABLE second_factors (
    user_id TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    confirmed_at TIMESTAMPTZ(3),
    last_step BIGINT,

    CONSTRAINT second_factors_pkey PRIMARY KEY (user_id),
    CONSTRAINT second_factors_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

-- Which nobody has confirmed.
CREATE INDEX idx_second_factors_pending ON second_factors (created_at) WHERE confirmed_at IS NULL;

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL,
    digest TEXT NOT NULL,

    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, digest),
    CONSTRAINT recovery_codes_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

ALTER TABLE users ADD COLUMN second_factor_at TIMESTAMPTZ(3);
ALTER TABLE sessions ADD COLUMN second_factor BOOLEAN NOT NULL DEFAULT false;

ALTER TABLE sessions DROP CONSTRAINT valid_revoked_reason;
ALTER TABLE sessions ADD CONSTRAINT valid_revoked_reason CHECK (
    revoked_reason IN (
        'sign_out', 'user', 'admin', 'reuse', 'password_change', 'disabled', 'deleted', 'superseded',
        'second_factor_added'
    )
) NOT VALID;
ALTER TABLE sessions VALIDATE CONSTRAINT valid_revoked_reason;
