-- Who follows the sync log and was cut off asks for all that came after the last event they saw. Times and sequences can't answer that:
-- transactions commit in another order than they took theirs, so an event could appear behind one that was read already, and was never
-- read. So each user's events have places of their own, 1, 2, 3…, taken from a row that stays locked until the event is committed:
-- the order of places is the order of commits, without a gap.
--
-- Rows that other programs insert take no place (NULL). They are kept, and erased with the person, but are no part of the feed.

SET LOCAL lock_timeout = '5s';

CREATE TABLE sync_places (
    user_id TEXT NOT NULL,
    last BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT sync_places_pkey PRIMARY KEY (user_id),
    CONSTRAINT sync_places_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

ALTER TABLE sync_logs ADD COLUMN place BIGINT;

-- Finds what idx_sync_logs_user_id does, and walks in order.
CREATE UNIQUE INDEX sync_logs_user_id_place_key ON sync_logs (user_id, place);
DROP INDEX idx_sync_logs_user_id;
