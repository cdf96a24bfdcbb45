-- Takes phase 2 away, data included.

DROP TABLE sync_logs;
DROP TABLE bridge_tokens;
