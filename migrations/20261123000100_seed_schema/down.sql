-- Takes the seed away, data included. Tables in the order of their foreign keys; indexes and checks go with them.

DROP FUNCTION get_user_activity_summary(TEXT);
DROP FUNCTION get_user_stats();

DROP TABLE audit_logs;
DROP TABLE billing_history;
DROP TABLE user_usage_metrics;
DROP TABLE admin_notes;
DROP TABLE user_activity;
DROP TABLE sessions;
DROP TABLE users;
