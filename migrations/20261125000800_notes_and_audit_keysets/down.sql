SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_audit_logs_created_at_alone ON audit_logs (created_at);
DROP INDEX idx_audit_logs_created_at;
ALTER INDEX idx_audit_logs_created_at_alone RENAME TO idx_audit_logs_created_at;

CREATE INDEX idx_audit_logs_admin_id_alone ON audit_logs (admin_id);
DROP INDEX idx_audit_logs_admin_id;
ALTER INDEX idx_audit_logs_admin_id_alone RENAME TO idx_audit_logs_admin_id;

DROP INDEX idx_audit_logs_action;
DROP INDEX idx_audit_logs_subject;

CREATE INDEX idx_admin_notes_is_flagged_alone ON admin_notes (is_flagged);
DROP INDEX idx_admin_notes_is_flagged;
ALTER INDEX idx_admin_notes_is_flagged_alone RENAME TO idx_admin_notes_is_flagged;

CREATE INDEX idx_admin_notes_user_id_alone ON admin_notes (user_id);
DROP INDEX idx_admin_notes_user_id;
ALTER INDEX idx_admin_notes_user_id_alone RENAME TO idx_admin_notes_user_id;
