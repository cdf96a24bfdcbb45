-- Pages of notes and of the audit trail, of one person, one action or all, are walks along an index instead of sorts. Whom an audit
-- row is about stays in `subject_id` when the account is gone; rows of other programs have `user_id` alone.
--
-- Locks: writes to both tables wait for the index builds.

SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_admin_notes_user_id_keyset ON admin_notes (user_id, created_at DESC, id DESC);
DROP INDEX idx_admin_notes_user_id;
ALTER INDEX idx_admin_notes_user_id_keyset RENAME TO idx_admin_notes_user_id;

CREATE INDEX idx_admin_notes_is_flagged_keyset ON admin_notes (is_flagged, created_at DESC, id DESC);
DROP INDEX idx_admin_notes_is_flagged;
ALTER INDEX idx_admin_notes_is_flagged_keyset RENAME TO idx_admin_notes_is_flagged;

CREATE INDEX idx_audit_logs_subject ON audit_logs (coalesce(subject_id, user_id), created_at DESC, id DESC);
CREATE INDEX idx_audit_logs_action ON audit_logs (action, created_at DESC, id DESC);

CREATE INDEX idx_audit_logs_admin_id_keyset ON audit_logs (admin_id, created_at DESC, id DESC);
DROP INDEX idx_audit_logs_admin_id;
ALTER INDEX idx_audit_logs_admin_id_keyset RENAME TO idx_audit_logs_admin_id;

CREATE INDEX idx_audit_logs_created_at_keyset ON audit_logs (created_at DESC, id DESC);
DROP INDEX idx_audit_logs_created_at;
ALTER INDEX idx_audit_logs_created_at_keyset RENAME TO idx_audit_logs_created_at;
