SET LOCAL lock_timeout = '5s';

UPDATE sessions SET revoked_reason = 'user' WHERE revoked_reason = 'second_factor_added';
ALTER TABLE sessions DROP CONSTRAINT valid_revoked_reason;
ALTER TABLE sessions ADD CONSTRAINT valid_revoked_reason CHECK (
    revoked_reason IN
        ('sign_out', 'user', 'admin', 'reuse', 'password_change', 'disabled', 'deleted', 'superseded')
);

ALTER TABLE sessions DROP COLUMN second_factor;
ALTER TABLE users DROP COLUMN second_factor_at;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
