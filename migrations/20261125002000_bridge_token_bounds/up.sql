-- A bridge token was bound to nothing but its owner: whoever saw it on its way could redeem it, and one that was made just before a
-- sign-out or a change of password still opened a session after it. Now it may be bound to the app that asked for it (PKCE: the
-- challenge is the SHA-256 of what only that app knows), and it is good for as long as the session that made it lives. Rows of other
-- programs have neither.

SET LOCAL lock_timeout = '5s';

ALTER TABLE bridge_tokens
    ADD COLUMN code_challenge TEXT,
    ADD COLUMN session_id TEXT;
