-- +goose Up
CREATE TABLE events (
	run_id  TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	attempt INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	time    INTEGER NOT NULL,
	type    TEXT NOT NULL,
	body    TEXT NOT NULL,
	PRIMARY KEY (run_id, attempt, seq)
) WITHOUT ROWID;
CREATE INDEX events_by_type ON events (run_id, attempt, type);

-- From where each attempt went on.
CREATE TABLE resumes (
	run_id      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	attempt     INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	epoch       INTEGER NOT NULL,
	global_step INTEGER NOT NULL,
	PRIMARY KEY (run_id, attempt, seq)
) WITHOUT ROWID;

-- value is NULL for NaN.
CREATE TABLE metrics (
	run_id      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	name        TEXT NOT NULL,
	split       TEXT NOT NULL,
	class       TEXT NOT NULL,
	epoch       INTEGER NOT NULL,
	global_step INTEGER NOT NULL,
	attempt     INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	value       REAL,
	superseded  INTEGER NOT NULL,
	time        INTEGER NOT NULL,
	PRIMARY KEY (run_id, name, split, class, epoch, global_step, attempt)
) WITHOUT ROWID;

CREATE TABLE validations (
	run_id      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	attempt     INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	epoch       INTEGER NOT NULL,
	global_step INTEGER NOT NULL,
	split       TEXT NOT NULL,
	body        TEXT NOT NULL,
	superseded  INTEGER NOT NULL,
	PRIMARY KEY (run_id, attempt, seq)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
	run_id      TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	attempt     INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	name        TEXT NOT NULL,
	epoch       INTEGER NOT NULL,
	global_step INTEGER NOT NULL,
	body        TEXT NOT NULL,
	superseded  INTEGER NOT NULL,
	PRIMARY KEY (run_id, attempt, seq)
) WITHOUT ROWID;
CREATE INDEX checkpoints_by_name ON checkpoints (run_id, name);

CREATE TABLE messages (
	run_id  TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	attempt INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	time    INTEGER NOT NULL,
	level   TEXT NOT NULL,
	body    TEXT NOT NULL,
	PRIMARY KEY (run_id, attempt, seq)
) WITHOUT ROWID;

CREATE TABLE artifacts (
	run_id  TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	body    TEXT NOT NULL,
	PRIMARY KEY (run_id, name)
) WITHOUT ROWID;
