// Package pipelines holds the nouns of Trainwright: what a user declares
// (Pipeline, Step, Spec), what an executor runs (Task), what a step reports
// (Event) and what is remembered (Apply, Run, Attempt). It imports only the
// standard library; every other package speaks in these types.
package pipelines
