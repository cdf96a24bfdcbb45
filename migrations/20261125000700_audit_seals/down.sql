DROP TABLE audit_seals;
DROP TABLE audit_unsealed;
DROP TRIGGER audit_logs_never_emptied ON audit_logs;
DROP TRIGGER audit_logs_only_grow ON audit_logs;
DROP FUNCTION refuse_audit_change();
ALTER TABLE audit_logs
    DROP COLUMN mac,
    DROP COLUMN subject_id;
