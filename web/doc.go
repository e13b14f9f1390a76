// Package web is all HTTP: what `runner serve` answers. It reads a store and
// the adapters, streams events while they are filed, stops runs, and takes
// pipelines that somebody submits. Every route stands in one list (routes.go)
// with the rule that says who may use it, and the OpenAPI document is made
// from the same registrations.
//
// Submitted HCL is never evaluated in the server: Config.Evaluator does it in a
// limited child process (web/submit). A handler that goes on with a pipeline
// asks
//
//	found, err := s.evaluate(submit.Plan, submission)  // or submit.Validate
//	err = invalidPipeline(found)                       // 422 with its diagnostics
//
// and hands the submission on as it came, to a process that loads it by
// submit.Policy.Load: the same rules are then held against values that come to
// be known while it runs.
//
// Training never waits for this package: it reads what the store has.
package web
