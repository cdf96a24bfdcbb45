-- Wrong guesses at a password are limited for each account, and the limit has to be exact over all replicas: fifty
-- parallel guesses at two servers must not be twice the allowance. So the count lives here.
--
-- It is a leaky bucket in a single value, the "theoretical arrival time" of GCRA: each guess moves `full_at` on by the
-- interval that one guess is worth, starting from now if it lies in the past, and a guess is refused if that would
-- put `full_at` further ahead of now than the burst allows. One UPDATE decides, under the row's own lock; the allowance
-- grows back by itself, so that nobody is locked out for ever; and what the row says when refused is how long to wait.
--
-- `full_at` is thus the moment at which the allowance is full again, and a row whose moment has passed says the same
-- as no row: those are cleared away by the index. `key` is a digest of the address, known or not: the table names
-- nobody, and looks the same for accounts that don't exist. It has no foreign key for the same reason.

CREATE TABLE auth_throttle (
    key TEXT NOT NULL,
    full_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT auth_throttle_pkey PRIMARY KEY (key)
);

CREATE INDEX idx_auth_throttle_full_at ON auth_throttle (full_at);
