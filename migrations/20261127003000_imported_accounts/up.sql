-- Whoever moves here from another service should not be signed out by it. An account that is imported brings along by which providers
-- its owner signed in there, and the refresh tokens that were good there: each is taken once, and swapped for one of ours.
--
-- `digest` is a MAC of the token under a key of the server's, in hexadecimal: those tokens have as little as 60 bits, so that a plain
-- hash could be searched through. Several tokens may stand for one session of then (`session_id`); with the first that comes back all
-- of them are taken, and the session that begins keeps that identifier. `created_at` is when its owner signed in; `expires_at` until
-- when it may be taken over; `not_after` when it must end.
--
-- A token is looked up by its digest alone, for it does not tell whose it is. Neither table grows: an import fills them.

CREATE TABLE imported_identities (
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    created_at TIMESTAMPTZ(3),
    last_sign_in_at TIMESTAMPTZ(3),

    CONSTRAINT imported_identities_pkey PRIMARY KEY (user_id, provider, provider_id),
    CONSTRAINT imported_identities_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE imported_refresh_tokens (
    user_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    session_id TEXT NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL,
    expires_at TIMESTAMPTZ(3) NOT NULL,
    not_after TIMESTAMPTZ(3),
    second_factor BOOLEAN NOT NULL DEFAULT false,
    taken_at TIMESTAMPTZ(3),

    CONSTRAINT imported_refresh_tokens_pkey PRIMARY KEY (user_id, digest),
    CONSTRAINT imported_refresh_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX idx_imported_refresh_tokens_digest ON imported_refresh_tokens (digest);
-- Which nobody can take over any more.
CREATE INDEX idx_imported_refresh_tokens_expires_at ON imported_refresh_tokens (expires_at);

DO $$ BEGIN PERFORM protect_rows(); END; $$;
