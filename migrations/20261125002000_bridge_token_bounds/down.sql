SET LOCAL lock_timeout = '5s';

ALTER TABLE bridge_tokens
    DROP COLUMN session_id,
    DROP COLUMN code_challenge;
