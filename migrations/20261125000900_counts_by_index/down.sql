DROP FUNCTION count_user_rows(TEXT[]);
