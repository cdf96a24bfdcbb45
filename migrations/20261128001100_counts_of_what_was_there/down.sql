-- The counts stay right: there is nothing to take back.
SELECT 1;
