-- +goose Up
-- The tables of what a step reported get their public names. A curve has a
-- number, since its name may be longer than an index takes; series_key stands
-- for its name, split and class.
CREATE TABLE metric_series (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	run_id     TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	series_key TEXT NOT NULL,
	name       TEXT NOT NULL,
	split      TEXT NOT NULL,
	class      TEXT NOT NULL,
	UNIQUE (run_id, series_key)
);

-- In the order of training. value is NULL for NaN.
CREATE TABLE training_metrics (
	series_id   INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
	global_step INTEGER NOT NULL,
	epoch       INTEGER NOT NULL,
	attempt     INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	value       REAL,
	superseded  INTEGER NOT NULL,
	time        INTEGER NOT NULL,
	PRIMARY KEY (series_id, global_step, epoch, attempt)
) WITHOUT ROWID;
-- only SQLite has older rows
INSERT INTO metric_series (run_id, series_key, name, split, class)
	SELECT DISTINCT run_id, length(name) || ':' || length(split) || ':' || name || split || class, name, split, class FROM metrics;
INSERT INTO training_metrics (series_id, global_step, epoch, attempt, seq, value, superseded, time)
	SELECT s.id, m.global_step, m.epoch, m.attempt, m.seq, m.value, m.superseded, m.time
	FROM metrics m JOIN metric_series s ON s.run_id = m.run_id AND s.name = m.name AND s.split = m.split AND s.class = m.class
	ORDER BY s.id, m.global_step, m.epoch, m.attempt;
-- end
DROP TABLE metrics;

-- The whole event, with classes and samples, stands in events. Numbers are
-- NULL for NaN; metrics, per_class_metrics and confusion_matrix are JSON.
CREATE TABLE validation_results (
	run_id               TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
	job_id               INTEGER NOT NULL,
	attempt              INTEGER NOT NULL,
	seq                  INTEGER NOT NULL,
	epoch                INTEGER NOT NULL,
	global_step          INTEGER NOT NULL,
	split                TEXT NOT NULL,
	task_type            TEXT NOT NULL,
	primary_metric_name  TEXT NOT NULL,
	primary_metric_value REAL,
	overall_loss         REAL,
	metrics              TEXT NOT NULL,
	per_class_metrics    TEXT,
	confusion_matrix     TEXT,
	checkpoint_path      TEXT NOT NULL,
	superseded           INTEGER NOT NULL,
	PRIMARY KEY (run_id, attempt, seq)
) WITHOUT ROWID;
-- only SQLite has older rows
INSERT INTO validation_results
	SELECT v.run_id, r.job_id, v.attempt, v.seq, v.epoch, v.global_step, v.split,
		COALESCE(json_extract(v.body, '$.validation.task_type'), ''),
		COALESCE(json_extract(v.body, '$.validation.primary_metric_name'), ''),
		CASE json_extract(v.body, '$.validation.primary_metric_value')
			WHEN 'NaN' THEN NULL WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999
			ELSE json_extract(v.body, '$.validation.primary_metric_value') END,
		CASE json_extract(v.body, '$.validation.overall_loss')
			WHEN 'NaN' THEN NULL WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999
			ELSE json_extract(v.body, '$.validation.overall_loss') END,
		COALESCE(json_extract(v.body, '$.validation.metrics'), '{}'),
		json_extract(v.body, '$.validation.per_class_metrics'),
		json_extract(v.body, '$.validation.confusion_matrix'),
		COALESCE(json_extract(v.body, '$.validation.checkpoint_path'), ''),
		v.superseded
	FROM validations v JOIN runs r ON r.id = v.run_id;
-- end
DROP TABLE validations;
