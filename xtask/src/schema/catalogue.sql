-- Columns: table, column, type, whether it takes NULL, longest length, place in the primary key.
SELECT
    'column', t.relname, c.attname, y.typname, NOT c.attnotnull,
    CASE WHEN y.typname IN ('varchar', 'bpchar') AND c.atttypmod > 4 THEN c.atttypmod - 4 END,
    array_position(k.conkey, c.attnum)
FROM pg_class t
JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
JOIN pg_type y ON y.oid = c.atttypid
LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'p'
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
ORDER BY t.relname COLLATE "C", c.attnum;

-- Foreign keys: table, column, referenced table; those that Diesel can join by: of one column, to a whole primary key,
-- not to the own table, and the only one between the two.
SELECT 'join', child.relname, c.attname, parent.relname
FROM (
    SELECT k.conrelid, k.confrelid, min(k.oid) AS oid
    FROM pg_constraint k
    WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace AND k.conparentid = 0
    GROUP BY k.conrelid, k.confrelid
    HAVING count(*) = 1
) AS only_one
JOIN pg_constraint k ON k.oid = only_one.oid
JOIN pg_constraint key ON key.conrelid = k.confrelid AND key.contype = 'p' AND key.conkey = k.confkey
JOIN pg_class child ON child.oid = k.conrelid
JOIN pg_class parent ON parent.oid = k.confrelid
JOIN pg_attribute c ON c.attrelid = k.conrelid AND c.attnum = k.conkey[1]
WHERE cardinality(k.conkey) = 1 AND k.conrelid <> k.confrelid
ORDER BY child.relname COLLATE "C", parent.relname COLLATE "C";
