-- Back to four decimals, unless that would change a cost: then this stops and says how many, for money is not rounded
-- in passing. Whoever wants it rounded does so first:
--     UPDATE user_usage_metrics SET total_cost = round(total_cost, 4) WHERE total_cost <> round(total_cost, 4);

SET LOCAL lock_timeout = '5s';

LOCK TABLE user_usage_metrics IN ACCESS EXCLUSIVE MODE;

DO $$
DECLARE
    inexact BIGINT;
BEGIN
    SELECT count(*) INTO inexact
        FROM user_usage_metrics
        WHERE total_cost <> round(total_cost, 4) OR abs(total_cost) >= 1000000;
    IF inexact > 0 THEN
        RAISE EXCEPTION '% usage row(s) have a cost that NUMERIC(10,4) cannot hold exactly; round or remove them, then revert again',
            inexact
            USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
END;
$$;

ALTER TABLE user_usage_metrics ALTER COLUMN total_cost TYPE DECIMAL(10,4);
