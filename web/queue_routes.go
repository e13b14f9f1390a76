package web

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// registerQueue lists the routes of what the server runs itself.
func (s *Server) registerQueue(get, post func(path string, access Access, tag, summary string) Route) {
	accepted := func(r Route, what string) Route {
		r.Also = map[string]*huma.Response{"202": s.response(what, reflect.TypeFor[Apply]())}
		return r
	}
	handle(s, accepted(post("/api/v1/pipelines/apply", Write, "applies", "Queue a pipeline's files for being applied"), "It is queued"), s.applyPipeline)
	handle(s, get("/api/v1/applies", Read, "applies", "Applies that were handed to this server, newest first"), s.listApplies)
	handle(s, get("/api/v1/applies/{id}", Read, "applies", "One apply and how it ended"), s.showApply)
	handle(s, get("/api/v1/applies/{id}/notices", Read, "applies", "What happened since a cursor; it may wait for news"), s.notices)
	handle(s, accepted(post("/api/v1/applies/{id}/stop", Write, "applies", "Stop an apply after its steps wrote checkpoints"), "It is asked to stop and still at it"), s.stopApply)
	handle(s, accepted(post("/api/v1/applies/{id}/resume", Write, "applies", "Go on with an apply that was stopped or failed"), "It is queued"), s.resumeApply)

	job := func(r Route, status, what string) Route {
		r.Also = map[string]*huma.Response{status: s.response(what, reflect.TypeFor[TrainingJob]())}
		return r
	}
	handle(s, job(post("/api/v1/training/jobs", Write, "jobs", "File a training, in the platform's shape"), "201", "It is filed and waits for its start"), s.createJob)
	handle(s, job(post("/training/start", Write, "jobs", "File a training and queue it"), "202", "It is queued"), s.startTraining)
	handle(s, get("/api/v1/training/jobs", Read, "jobs", "Trainings that were filed, newest first"), s.listJobs)
	handle(s, get("/api/v1/training/jobs/{id}", Read, "jobs", "One training: where it is and how it went"), s.showJob)
	handle(s, job(post("/api/v1/training/jobs/{id}/start", Write, "jobs", "Queue a training that was filed"), "202", "It is queued"), s.startJob)
	handle(s, job(post("/api/v1/training/jobs/{id}/resume", Write, "jobs", "Go on with a training that was stopped or failed"), "202", "It is queued"), s.resumeJob)

	plain(s, post(trainJobPath, Write, "jobs", "A Kubeflow trainer's status, each once"), s.trainJobRoute())
	plain(s, post(callbackPath, Write, "jobs", "Events of a run, each once"), s.callbackRoute())
	plain(s, post("/api/v1/tasks/{method}", Write, "tasks", "Steps of another machine, run here"), s.tasksRoute())
	plain(s, post("/api/v1/store/{method}", Write, "store", "The state of another machine, kept here"), s.storeRoute())
}
