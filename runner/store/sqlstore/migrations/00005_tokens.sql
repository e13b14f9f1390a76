-- +goose Up
-- Who may do what over HTTP. Of a token only its SHA-256 is kept.
CREATE TABLE tokens (
	id        TEXT PRIMARY KEY,
	role      TEXT NOT NULL,
	run_id    TEXT NOT NULL,
	label     TEXT NOT NULL,
	sha256    TEXT NOT NULL UNIQUE,
	created   INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	revoked   INTEGER NOT NULL,
	last_used INTEGER NOT NULL
) WITHOUT ROWID;
