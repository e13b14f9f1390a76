-- +goose Up
CREATE TABLE applies (
	id        TEXT PRIMARY KEY,
	pipeline  TEXT NOT NULL,
	status    TEXT NOT NULL,
	started   INTEGER NOT NULL,
	ended     INTEGER NOT NULL,
	commit_id TEXT NOT NULL,
	branch    TEXT NOT NULL,
	version   TEXT NOT NULL
);

CREATE TABLE runs (
	job_id           INTEGER PRIMARY KEY AUTOINCREMENT,
	id               TEXT NOT NULL UNIQUE,
	pipeline         TEXT NOT NULL,
	address          TEXT NOT NULL,
	apply_id         TEXT NOT NULL,
	content_key      TEXT NOT NULL,
	status           TEXT NOT NULL,
	kind             TEXT NOT NULL,
	adapter          TEXT NOT NULL,
	model            TEXT NOT NULL,
	task_type        TEXT NOT NULL,
	parent           TEXT NOT NULL,
	inputs           BLOB,
	dir              TEXT NOT NULL,
	executor         TEXT NOT NULL,
	attempts         INTEGER NOT NULL,
	error            TEXT NOT NULL,
	cause            TEXT NOT NULL,
	result           TEXT,
	progress         TEXT,
	progress_attempt INTEGER NOT NULL DEFAULT 0,
	progress_seq     INTEGER NOT NULL DEFAULT 0,
	created          INTEGER NOT NULL,
	started          INTEGER NOT NULL,
	ended            INTEGER NOT NULL
);
CREATE INDEX runs_by_step ON runs (pipeline, address);
CREATE INDEX runs_by_key ON runs (content_key);
CREATE INDEX runs_by_apply ON runs (apply_id);

CREATE TABLE attempts (
	run_id    TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	number    INTEGER NOT NULL,
	status    TEXT NOT NULL,
	cause     TEXT NOT NULL,
	error     TEXT NOT NULL,
	exit_code INTEGER NOT NULL,
	dir       TEXT NOT NULL,
	executor  TEXT NOT NULL,
	handle    TEXT NOT NULL,
	applied   TEXT,
	started   INTEGER NOT NULL,
	ended     INTEGER NOT NULL,
	PRIMARY KEY (run_id, number)
) WITHOUT ROWID;

CREATE TABLE outputs (
	pipeline TEXT NOT NULL,
	name     TEXT NOT NULL,
	body     TEXT NOT NULL,
	PRIMARY KEY (pipeline, name)
) WITHOUT ROWID;

CREATE TABLE serials (
	pipeline TEXT PRIMARY KEY,
	serial   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE locks (
	pipeline TEXT PRIMARY KEY,
	lock_id  TEXT NOT NULL,
	holder   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE slots (
	resource TEXT NOT NULL,
	slot     INTEGER NOT NULL,
	lock_id  TEXT NOT NULL,
	holder   TEXT NOT NULL,
	PRIMARY KEY (resource, slot)
) WITHOUT ROWID;
