-- +goose Up
-- Outlines of long curves (sqlstore/outline.go): a segment's points that are
-- seen when the curve is drawn small, packed. Points from the step outlined on
-- stand in no segment.
ALTER TABLE metric_series ADD COLUMN outlined INTEGER NOT NULL DEFAULT -9223372036854775808;
CREATE TABLE metric_outlines (
	series_id INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
	start     INTEGER NOT NULL,
	body      BLOB NOT NULL,
	PRIMARY KEY (series_id, start)
) WITHOUT ROWID;
