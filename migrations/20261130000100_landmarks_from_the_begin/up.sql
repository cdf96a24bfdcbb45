-- A far page's landmark was sought from the bottom of its list, whichever way the list goes: near the begin of one that descends, where most
-- who turn pages are, all wide ranges were passed and all narrow ones of the newest. It is sought from the list's begin now, and counts stand
-- in the index beside the places that they are of, as the rows, where they came last, lie in another page each.
--
-- Locks, for a moment: `user_range_counts`, and so who writes accounts and who lists them. Who runs the function while it is replaced
-- goes on with the one that it began with; both find such a landmark.

SET LOCAL lock_timeout = '5s';

DROP INDEX idx_user_range_counts_range;
CREATE INDEX idx_user_range_counts_range ON user_range_counts (sort, subscription_tier, role, low_time, low_text, low_id) INCLUDE (accounts);

-- Where in a list of accounts (`order_of`, of one tier and role or, where these are empty, of all) somebody who skips `skip` of them can
-- begin to skip: `low_*` is the low end of a range; of a list that ascends the accounts at that end and above are still to come, of one that
-- descends those below it, which are all where it is infinite, but for lists that go by a text, whose begin has no name: none are behind it.
-- So many were left out before. `total` is how many there are in the list, the rest NULL if that is not more than `skip`. Ranges are
-- passed from the begin of the list, first wide ones and then the narrow ones in one of these. Along the index they come one
-- after the other, so that nobody reads further than that; it is planned once in each connection.
CREATE OR REPLACE FUNCTION user_landmark(
    order_of TEXT, descending BOOLEAN, tier TEXT, in_role TEXT, skip BIGINT,
    OUT low_time TIMESTAMPTZ, OUT low_text TEXT, OUT low_id TEXT, OUT skipped BIGINT, OUT total BIGINT
) AS $$
<<here>>
DECLARE
    width TEXT;
    low_time TIMESTAMPTZ;
    low_text TEXT;
    low_id TEXT;
    accounts BIGINT;
BEGIN
    SELECT coalesce(sum(counts.accounts), 0) INTO total FROM user_range_counts AS counts
    WHERE sort = order_of || '/wide' AND subscription_tier = tier AND role = in_role;
    IF skip >= total THEN
        RETURN;
    END IF;
    skipped := 0;
    user_landmark.low_time := CASE WHEN descending THEN 'infinity' ELSE '-infinity' END;
    user_landmark.low_text := '';
    user_landmark.low_id := '';
    FOREACH width IN ARRAY ARRAY['/wide', ''] LOOP
        IF descending THEN
            FOR here.low_time, here.low_text, here.low_id, accounts IN
                SELECT counts.low_time, counts.low_text, counts.low_id, sum(counts.accounts) FROM user_range_counts AS counts
                WHERE sort = order_of || width AND subscription_tier = tier AND role = in_role
                    AND (counts.low_time, counts.low_text, counts.low_id)
                        < (user_landmark.low_time, user_landmark.low_text, user_landmark.low_id)
                GROUP BY counts.low_time, counts.low_text, counts.low_id
                ORDER BY counts.low_time DESC, counts.low_text DESC, counts.low_id DESC
            LOOP
                EXIT WHEN skipped + accounts > skip;
                skipped := skipped + accounts;
                user_landmark.low_time := here.low_time;
                user_landmark.low_text := here.low_text;
                user_landmark.low_id := here.low_id;
            END LOOP;
        ELSE
            FOR user_landmark.low_time, user_landmark.low_text, user_landmark.low_id, accounts IN
                SELECT counts.low_time, counts.low_text, counts.low_id, sum(counts.accounts) FROM user_range_counts AS counts
                WHERE sort = order_of || width AND subscription_tier = tier AND role = in_role
                    AND (counts.low_time, counts.low_text, counts.low_id)
                        >= (user_landmark.low_time, user_landmark.low_text, user_landmark.low_id)
                GROUP BY counts.low_time, counts.low_text, counts.low_id
                ORDER BY counts.low_time, counts.low_text, counts.low_id
            LOOP
                EXIT WHEN skipped + accounts > skip;
                skipped := skipped + accounts;
            END LOOP;
        END IF;
    END LOOP;
END;
$$ LANGUAGE plpgsql STABLE SET enable_sort = off SET plan_cache_mode = force_generic_plan;
