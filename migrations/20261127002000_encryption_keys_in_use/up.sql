-- Values that the service keeps encrypted name their key. Whether a key can be given up, which values are under an older one, and
-- whether one is missing, was known only after reading every row of `users`: now it is a look into an index for each key. Rows without
-- such a value are not in it.
--
-- The expressions are those of `persistence/src/encryption/renewal.rs`, letter for letter.
--
-- Locks: writes to both tables wait for the index builds.

SET LOCAL lock_timeout = '5s';

CREATE INDEX idx_users_avatar_url_key ON users (
    coalesce(substring(avatar_url COLLATE "C" from '^enc:(v[0-9]+:[0-9a-f]{8}):[A-Za-z0-9_-]+$'), 'plain'), id
) WHERE avatar_url IS NOT NULL;

CREATE INDEX idx_bridge_tokens_session_data_key ON bridge_tokens (
    coalesce(substring(session_data::text COLLATE "C" from '^\{"\$enc": "(v[0-9]+:[0-9a-f]{8}):[A-Za-z0-9_-]+"\}$'), 'plain'), id
) WHERE session_data IS NOT NULL;
