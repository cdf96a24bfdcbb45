DROP TABLE usage_reservations;
DROP TABLE user_quotas;
