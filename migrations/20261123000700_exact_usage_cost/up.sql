-- DECIMAL(10,4) cannot hold what a small request costs: $0.00003 is stored as 0.0000, without an error. A million
-- such requests are $30 that nobody is charged. NUMERIC(20,10) holds ten digits on either side of the point: down to a
-- tenth of a billionth of a dollar, and every value that the old type could hold, unchanged. Prisma reads it as the
-- Decimal that it expects.
--
-- Locks: a change of scale writes the table anew, because each stored number gets its scale. There is no shorter way
-- that leaves old and new rows looking alike; see the README for how long it takes.

SET LOCAL lock_timeout = '5s';

ALTER TABLE user_usage_metrics ALTER COLUMN total_cost TYPE NUMERIC(20,10);
