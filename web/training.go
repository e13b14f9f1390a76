package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/web/submit"
)

// TrainingRequest is a training in the platform's shape. What it says twice
// may be said either way: model_name or model, flat or in training_config.
type TrainingRequest struct {
	Framework      string         `json:"framework,omitempty" maxLength:"100" doc:"the adapter; without it the server's default"`
	ModelName      string         `json:"model_name,omitempty" maxLength:"300"`
	Model          any            `json:"model,omitempty" doc:"a name, or an object with model_name, task_type, num_classes, image_size, pretrained"`
	TaskType       string         `json:"task_type,omitempty" maxLength:"100"`
	Task           string         `json:"task,omitempty" maxLength:"100"`
	DatasetPath    string         `json:"dataset_path,omitempty" maxLength:"4000" doc:"under the server's --data-root"`
	DatasetFormat  string         `json:"dataset_format,omitempty" maxLength:"100"`
	Dataset        any            `json:"dataset,omitempty" doc:"a path, or an object with dataset_path, format"`
	TrainingConfig map[string]any `json:"training_config,omitempty" doc:"epochs, batch_size, learning_rate, seed, device, num_workers, preset, advanced_config"`
	Epochs         any            `json:"epochs,omitempty"`
	BatchSize      any            `json:"batch_size,omitempty"`
	LearningRate   any            `json:"learning_rate,omitempty"`
	Seed           any            `json:"seed,omitempty"`
	Device         any            `json:"device,omitempty"`
	ImageSize      any            `json:"image_size,omitempty"`
	NumClasses     any            `json:"num_classes,omitempty"`
	Pretrained     any            `json:"pretrained,omitempty"`
	Preset         any            `json:"preset,omitempty"`
	AdvancedConfig map[string]any `json:"advanced_config,omitempty" doc:"fields of the config schema, nested by group"`
	ProjectID      any            `json:"project_id,omitempty" doc:"kept with the request"`
	Name           string         `json:"name,omitempty" maxLength:"200" doc:"kept with the request"`
	Priority       int            `json:"priority,omitempty" minimum:"-1000" maximum:"1000" doc:"higher ones first"`
}

// TrainingJob is a training that was filed, or a run of a pipeline.
type TrainingJob struct {
	ID      string           `json:"id"`
	JobID   int64            `json:"job_id"`
	Status  pipelines.Status `json:"status" enum:"pending,running,completed,failed,cancelled,skipped"`
	State   string           `json:"state" enum:"created,queued,running,ended" doc:"created: waits for its start"`
	RunID   string           `json:"run_id,omitempty"`
	ApplyID string           `json:"apply_id,omitempty"`
	Error   string           `json:"error,omitempty"`
	Run     *Run             `json:"run,omitempty" doc:"once there is one: progress, metrics"`
	Created time.Time        `json:"created"`
	Started *time.Time       `json:"started,omitempty"`
	Ended   *time.Time       `json:"ended,omitempty"`
}

type jobInput struct {
	IdempotencyKey
	Body TrainingRequest
}

type jobOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     TrainingJob
}

// trainingPrefix and its submission's id are the name of a training's pipeline.
const trainingPrefix = "training-"

// createJob files a training that waits for its start.
func (s *Server) createJob(ctx context.Context, in *jobInput) (*jobOutput, error) {
	return s.fileJob(ctx, in, runner.SubmissionCreated, http.StatusCreated)
}

// startTraining files a training and queues it.
func (s *Server) startTraining(ctx context.Context, in *jobInput) (*jobOutput, error) {
	return s.fileJob(ctx, in, runner.SubmissionQueued, http.StatusAccepted)
}

func (s *Server) fileJob(ctx context.Context, in *jobInput, state runner.SubmissionState, status int) (*jobOutput, error) {
	if s.cfg.Queue == nil {
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "this server runs nothing: its store keeps no queue")
	}
	id := runner.NewID(s.cfg.Now())
	form, err := in.Body.form(trainingPrefix + id)
	if err != nil {
		return nil, err
	}
	if s.cfg.Services != nil { // one that is away is told now, not when the job's turn has come
		if _, _, err := s.cfg.Services.Ask(ctx, firstOf(form.Framework, s.cfg.Framework)); err != nil {
			return nil, err
		}
	}
	found, err := s.render(form)
	if err != nil {
		return nil, err
	}
	if err := found.problem(); err != nil {
		for i, e := range err.Errors {
			err.Errors[i].Location = in.Body.pointer(e.Location)
		}
		return nil, err
	}
	sub := found.Submission()
	sub.Source = "training " + id
	n := runner.Submission{ID: id, Kind: runner.SubmissionTraining, Pipeline: found.Pipeline, Priority: in.Body.Priority, State: state}
	if device, _ := form.Training["device"].(string); strings.HasPrefix(device, "cuda") {
		n.Resource = "gpu"
	}
	out, err := s.enqueue(ctx, n, sub, in.Key, in.Body)
	if err != nil {
		return nil, err
	}
	job, err := s.jobOf(ctx, out.Body)
	return &jobOutput{Status: status, Location: fmt.Sprintf("/api/v1/training/jobs/%d", job.JobID), Body: job}, err
}

// jobOf tells of a filed training and of its run.
func (s *Server) jobOf(ctx context.Context, a Apply) (TrainingJob, error) {
	out := TrainingJob{ID: a.ApplyID, JobID: a.JobID, Status: a.Status, State: string(a.State), RunID: a.RunID, ApplyID: a.ApplyID,
		Error: a.Error, Created: a.Created, Started: a.Started, Ended: a.Ended}
	if a.RunID != "" {
		run, err := s.cfg.Store.Run(ctx, a.RunID)
		if err != nil && pipelines.CodeOf(err) != pipelines.CodeNotFound {
			return out, err
		}
		if err == nil {
			r := runOf(run)
			out.Run = &r
		}
	}
	return out, nil
}

// JobList is one page of trainings.
type JobList struct {
	Jobs   []TrainingJob `json:"jobs" nullable:"false"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
	Next   *int          `json:"next_offset,omitempty" doc:"offset of the next page; absent on the last"`
}

type jobsInput struct {
	State  string `query:"state" enum:"created,queued,running,ended"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Offset int    `query:"offset" minimum:"0" maximum:"100000000"`
}

type jobsOutput struct{ Body JobList }

func (s *Server) listJobs(ctx context.Context, in *jobsInput) (*jobsOutput, error) {
	applies, err := s.listApplies(ctx, &appliesInput{Kind: string(runner.SubmissionTraining), State: in.State, Limit: in.Limit, Offset: in.Offset})
	if err != nil {
		return nil, err
	}
	out := &jobsOutput{Body: JobList{Jobs: []TrainingJob{}, Limit: in.Limit, Offset: in.Offset, Next: applies.Body.Next}}
	for _, a := range applies.Body.Applies {
		job, err := s.jobOf(ctx, a)
		if err != nil {
			return nil, err
		}
		out.Body.Jobs = append(out.Body.Jobs, job)
	}
	return out, nil
}

type jobPath struct{ ApplyPath }

// showJob tells of a filed training, or of a run that a pipeline made.
func (s *Server) showJob(ctx context.Context, in *jobPath) (*jobOutput, error) {
	n, err := s.submission(ctx, in.ID)
	if err == nil {
		job, err := s.jobOf(ctx, applyOf(n))
		return &jobOutput{Status: http.StatusOK, Body: job}, err
	}
	if pipelines.CodeOf(err) != pipelines.CodeNotFound {
		return nil, err
	}
	run, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	r := runOf(run)
	state := runner.SubmissionRunning
	if run.Status.Ended() {
		state = runner.SubmissionEnded
	}
	return &jobOutput{Status: http.StatusOK, Body: TrainingJob{ID: run.ID, JobID: run.JobID, Status: run.Status, State: string(state), RunID: run.ID, ApplyID: run.ApplyID,
		Error: run.Error, Run: &r, Created: run.Created, Started: when(run.Started), Ended: when(run.Ended)}}, nil
}

// startJob queues a training that was filed; one that is at it stays as it is.
func (s *Server) startJob(ctx context.Context, in *emptyBody) (*jobOutput, error) {
	n, err := s.submission(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if n.State == runner.SubmissionEnded {
		return nil, pipelines.Errorf(pipelines.CodeConflict, "job %s has ended already (%s); resume goes on with it, and a new job trains anew", in.ID, n.Status)
	}
	return s.jobAnswer(ctx, n, s.queueAgain)
}

// resumeJob goes on with a training from its last checkpoint.
func (s *Server) resumeJob(ctx context.Context, in *emptyBody) (*jobOutput, error) {
	n, err := s.submission(ctx, in.ID)
	if pipelines.CodeOf(err) == pipelines.CodeNotFound {
		run, rerr := s.find(ctx, in.ID)
		if rerr != nil {
			return nil, rerr
		}
		if n, err = s.submission(ctx, run.ApplyID); err != nil {
			return nil, pipelines.Errorf(pipelines.CodeConflict, "run %s was not made by this server: go on with runner resume where its sources are", run.ID)
		}
	}
	if err != nil {
		return nil, err
	}
	return s.jobAnswer(ctx, n, s.resumeSubmission)
}

func (s *Server) jobAnswer(ctx context.Context, n runner.Submission, do func(context.Context, runner.Submission) (*applyOutput, error)) (*jobOutput, error) {
	out, err := do(ctx, n)
	if err != nil {
		return nil, err
	}
	job, err := s.jobOf(ctx, out.Body)
	return &jobOutput{Status: out.Status, Body: job}, err
}

// form gathers what the request says, flat or nested, into the form that it
// stands for. What is said twice must be said once.
func (r TrainingRequest) form(name string) (submit.Form, error) {
	f := submit.Form{Name: name, Framework: r.Framework, TaskType: r.TaskType, Model: map[string]any{}, Dataset: map[string]any{}, Training: map[string]any{}}
	var err error
	take := func(to map[string]any, key, from string, v any) {
		if v == nil || v == "" || err != nil {
			return
		}
		if was, twice := to[key]; twice && was != nil {
			p := problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, fmt.Sprintf("%s is given twice; say it once", key))
			p.Errors = []ProblemAt{{Location: from, Message: "it is given elsewhere too"}}
			err = p
			return
		}
		to[key] = v
	}
	group := func(to map[string]any, key, at string, v any) {
		switch v := v.(type) {
		case nil:
		case string:
			take(to, key, at, v)
		case map[string]any:
			maps.Copy(to, v)
		default:
			p := problem(http.StatusUnprocessableEntity, pipelines.CodeInvalid, at+" is neither a text nor an object")
			p.Errors = []ProblemAt{{Location: at, Message: "it is neither a text nor an object"}}
			err = p
		}
	}
	group(f.Model, "model_name", "/model", r.Model)
	group(f.Dataset, "dataset_path", "/dataset", r.Dataset)
	maps.Copy(f.Training, r.TrainingConfig)
	alias := func(in map[string]any, from, to string) { // other names that the platform's objects use
		if v, ok := in[from]; ok && err == nil {
			delete(in, from)
			take(in, to, "/"+from, v)
		}
	}
	alias(f.Model, "name", "model_name")
	alias(f.Dataset, "path", "dataset_path")
	said := map[string]any{"framework": nilIfEmpty(f.Framework), "task_type": nilIfEmpty(f.TaskType)}
	for _, g := range []struct{ key, from string }{{"framework", "framework"}, {"task_type", "task_type"}, {"task_type", "task"}} {
		v, ok := f.Model[g.from]
		if delete(f.Model, g.from); !ok {
			continue
		}
		if was := said[g.key]; was == nil || was == v {
			said[g.key] = v
		} else {
			take(map[string]any{g.key: was}, g.key, "/model/"+g.from, v)
		}
	}
	if r.Task != "" && said["task_type"] != r.Task {
		take(said, "task_type", "/task", r.Task)
	}
	f.Framework, _ = said["framework"].(string)
	f.TaskType, _ = said["task_type"].(string)
	take(f.Model, "model_name", "/model_name", r.ModelName)
	take(f.Dataset, "dataset_path", "/dataset_path", r.DatasetPath)
	take(f.Dataset, "format", "/dataset_format", r.DatasetFormat)
	for key, v := range map[string]any{"image_size": r.ImageSize, "num_classes": r.NumClasses, "pretrained": r.Pretrained} {
		take(f.Model, key, "/"+key, v)
	}
	for key, v := range map[string]any{"epochs": r.Epochs, "batch_size": r.BatchSize, "learning_rate": r.LearningRate, "seed": r.Seed, "device": r.Device, "preset": r.Preset} {
		take(f.Training, key, "/"+key, v)
	}
	if r.AdvancedConfig != nil {
		take(f.Training, "advanced_config", "/advanced_config", r.AdvancedConfig)
	}
	return f, err
}

// pointer finds where the request says what stands at a place of its form.
func (r TrainingRequest) pointer(form string) string {
	has := func(object any, key string) bool {
		m, ok := object.(map[string]any)
		return ok && m[key] != nil
	}
	_, model := r.Model.(string)
	_, dataset := r.Dataset.(string)
	for _, m := range []struct {
		form, request string
		said          bool
	}{
		{"/model/model_name", "/model", model}, {"/model/model_name", "/model_name", r.ModelName != ""}, {"/model/model_name", "/model/name", has(r.Model, "name")},
		{"/dataset/dataset_path", "/dataset", dataset}, {"/dataset/dataset_path", "/dataset_path", r.DatasetPath != ""}, {"/dataset/dataset_path", "/dataset/path", has(r.Dataset, "path")},
		{"/dataset/format", "/dataset_format", r.DatasetFormat != ""},
		{"/framework", "/model/framework", r.Framework == "" && has(r.Model, "framework")},
		{"/task_type", "/task", r.TaskType == "" && r.Task != ""}, {"/task_type", "/model/task_type", r.TaskType == "" && has(r.Model, "task_type")}, {"/task_type", "/model/task", r.TaskType == "" && has(r.Model, "task")},
		{"/model/image_size", "/image_size", r.ImageSize != nil}, {"/model/num_classes", "/num_classes", r.NumClasses != nil}, {"/model/pretrained", "/pretrained", r.Pretrained != nil},
		{"/training_config/epochs", "/epochs", r.Epochs != nil}, {"/training_config/batch_size", "/batch_size", r.BatchSize != nil},
		{"/training_config/learning_rate", "/learning_rate", r.LearningRate != nil}, {"/training_config/seed", "/seed", r.Seed != nil},
		{"/training_config/device", "/device", r.Device != nil}, {"/training_config/preset", "/preset", r.Preset != nil},
		{"/training_config/advanced_config", "/advanced_config", r.AdvancedConfig != nil},
	} {
		if rest, ok := strings.CutPrefix(form, m.form); ok && m.said && (rest == "" || rest[0] == '/') {
			return m.request + rest
		}
	}
	return form
}

func nilIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}
