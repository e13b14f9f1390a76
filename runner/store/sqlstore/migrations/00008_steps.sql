-- +goose Up
-- Where every step of every pipeline is: its newest run.
CREATE VIEW steps AS
	SELECT pipeline, address, kind, id AS run_id, job_id, apply_id, content_key, status, created, started, ended FROM runs
	WHERE address <> '' AND job_id IN (SELECT MAX(job_id) FROM runs GROUP BY pipeline, address);
