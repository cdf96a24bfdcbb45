-- Everyone's allowance is full again.

DROP TABLE auth_throttle;
