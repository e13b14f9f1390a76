-- +goose Up
-- Whose sources a pipeline's state is of.
CREATE TABLE sources (
	pipeline TEXT PRIMARY KEY,
	source   TEXT NOT NULL
) WITHOUT ROWID;
