-- Who has not come back since the import has to sign in.
DROP TABLE imported_refresh_tokens;
DROP TABLE imported_identities;
