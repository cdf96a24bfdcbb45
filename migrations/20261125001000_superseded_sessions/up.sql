-- An account has at most so many live sessions as the operator allows: a new one ends the one that was unused for longest, and
-- says why.
--
-- Locks: none for long. The check is added without reading the table, and validated beside writes.

SET LOCAL lock_timeout = '5s';

ALTER TABLE sessions DROP CONSTRAINT valid_revoked_reason;
ALTER TABLE sessions ADD CONSTRAINT valid_revoked_reason CHECK (
    revoked_reason IN
        ('sign_out', 'user', 'admin', 'reuse', 'password_change', 'disabled', 'deleted', 'superseded')
) NOT VALID;
ALTER TABLE sessions VALIDATE CONSTRAINT valid_revoked_reason;
