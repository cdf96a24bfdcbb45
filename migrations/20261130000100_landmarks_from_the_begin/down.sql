SET LOCAL lock_timeout = '5s';

DROP INDEX idx_user_range_counts_range;
CREATE INDEX idx_user_range_counts_range ON user_range_counts (sort, subscription_tier, role, low_time, low_text, low_id);

CREATE OR REPLACE FUNCTION user_landmark(
    order_of TEXT, descending BOOLEAN, tier TEXT, in_role TEXT, skip BIGINT,
    OUT low_time TIMESTAMPTZ, OUT low_text TEXT, OUT low_id TEXT, OUT skipped BIGINT, OUT total BIGINT
) AS $$
DECLARE
    width TEXT;
    here RECORD;
    low user_ranges := ROW('', '-infinity', '', '');
    place BIGINT;
    below BIGINT := 0;
BEGIN
    SELECT coalesce(sum(accounts), 0) INTO total FROM user_range_counts
    WHERE sort = order_of || '/wide' AND subscription_tier = tier AND role = in_role;
    IF skip >= total THEN
        RETURN;
    END IF;
    place := CASE WHEN descending THEN total - skip ELSE skip + 1 END;
    FOREACH width IN ARRAY ARRAY['/wide', ''] LOOP
        FOR here IN
            SELECT counts.low_time, counts.low_text, counts.low_id, sum(accounts) AS accounts FROM user_range_counts AS counts
            WHERE sort = order_of || width AND subscription_tier = tier AND role = in_role
                AND (counts.low_time, counts.low_text, counts.low_id) >= (low.low_time, low.low_text, low.low_id)
            GROUP BY counts.low_time, counts.low_text, counts.low_id
            ORDER BY counts.low_time, counts.low_text, counts.low_id
        LOOP
            EXIT WHEN below + here.accounts >= place;
            below := below + here.accounts;
        END LOOP;
        low := ROW(order_of || width, here.low_time, here.low_text, here.low_id);
    END LOOP;
    IF descending THEN
        low := user_range_after(low);
        skipped := total - below - here.accounts;
    ELSE
        skipped := below;
    END IF;
    low_time := low.low_time;
    low_text := low.low_text;
    low_id := low.low_id;
END;
$$ LANGUAGE plpgsql STABLE SET enable_sort = off SET plan_cache_mode = force_generic_plan;
