-- +goose Up
-- Applies that were handed to a server, and the leases on them.
CREATE TABLE submissions (
	number      INTEGER PRIMARY KEY AUTOINCREMENT,
	id          TEXT NOT NULL UNIQUE,
	kind        TEXT NOT NULL,
	job_id      INTEGER,
	run_id      TEXT NOT NULL,
	pipeline    TEXT NOT NULL,
	priority    INTEGER NOT NULL,
	resource    TEXT NOT NULL,
	work        TEXT NOT NULL,
	state       TEXT NOT NULL,
	status      TEXT NOT NULL,
	ending      TEXT,
	cancel      INTEGER NOT NULL,
	takes       INTEGER NOT NULL,
	owner       TEXT NOT NULL,
	holder      TEXT NOT NULL,
	until       INTEGER NOT NULL,
	created     INTEGER NOT NULL,
	queued      INTEGER NOT NULL,
	started     INTEGER NOT NULL,
	ended       INTEGER NOT NULL,
	request_key TEXT UNIQUE,
	key_hash    TEXT NOT NULL
);
CREATE INDEX submissions_by_state ON submissions (state);
CREATE INDEX submissions_by_job ON submissions (job_id);

CREATE TABLE notices (
	submission TEXT NOT NULL REFERENCES submissions (id) ON DELETE CASCADE,
	seq        INTEGER NOT NULL,
	body       TEXT NOT NULL,
	PRIMARY KEY (submission, seq)
) WITHOUT ROWID;

-- Places of reports that came without one, by their own names.
CREATE TABLE report_ids (
	run_id  TEXT NOT NULL,
	id      TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	PRIMARY KEY (run_id, id),
	FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
) WITHOUT ROWID;
