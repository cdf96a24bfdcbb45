-- Whoever can write to the database could change what the audit trail says. Now each row carries a MAC under the server's key, and
-- a sealer binds what was committed since into a seal: its rows by name, a hash over them, the seal before, a signature. An edited
-- row breaks its MAC and its seal, a removed one is missed by name, one from outside has no MAC.
--
-- `subject_id` is who it was about, without a foreign key: the link in `user_id` becomes NULL when the user's row is deleted, and
-- the MAC must hold nevertheless. `audit_unsealed` has what is not sealed yet, written with each row.
--
-- The rows that are there carry no MAC. The first seals take them in as they are; the verifier tells how many they are.
--
-- Rows can be added and read; a trigger refuses everything else, whoever asks, but for the link that becomes NULL when the account
-- is gone. It costs what an audit row costs, which is little.
--
-- Locks: `audit_logs`, and with it every privileged change, waits while `subject_id` is filled in.

SET LOCAL lock_timeout = '5s';

ALTER TABLE audit_logs
    ADD COLUMN subject_id TEXT,
    ADD COLUMN mac BYTEA;

UPDATE audit_logs SET subject_id = user_id;

CREATE TABLE audit_unsealed (
    audit_id TEXT NOT NULL,

    CONSTRAINT audit_unsealed_pkey PRIMARY KEY (audit_id)
);

INSERT INTO audit_unsealed (audit_id) SELECT id FROM audit_logs;

CREATE TABLE audit_seals (
    number BIGINT NOT NULL,
    sealed_at TIMESTAMPTZ(3) NOT NULL,
    row_ids TEXT[] NOT NULL,
    rows_hash BYTEA NOT NULL,
    previous BYTEA NOT NULL,
    signature BYTEA NOT NULL,

    CONSTRAINT audit_seals_pkey PRIMARY KEY (number),
    CONSTRAINT audit_seals_number_check CHECK (number > 0)
);

CREATE FUNCTION refuse_audit_change() RETURNS TRIGGER AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_logs' THEN
        IF to_jsonb(NEW) = jsonb_set(to_jsonb(OLD), '{user_id}', 'null')
            AND NOT EXISTS (SELECT FROM users WHERE id = OLD.user_id)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END;
$$ LANGUAGE plpgsql;

CREATE TRIGGER audit_logs_only_grow BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_logs_never_emptied BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_seals_only_grow BEFORE UPDATE OR DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_seals_never_emptied BEFORE TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
