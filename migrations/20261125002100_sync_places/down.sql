SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_sync_logs_user_id ON sync_logs (user_id);
DROP INDEX sync_logs_user_id_place_key;

ALTER TABLE sync_logs DROP COLUMN place;

DROP TABLE sync_places;
