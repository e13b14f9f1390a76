// Package submit takes pipelines that somebody sends: HCL whose author may not
// read this machine. A Policy says what such a pipeline may use, and a Process
// evaluates it apart from the server, in a child with limits, so that the
// worst that hostile text does is to be refused.
//
//	found, err := process.Evaluate(ctx, submit.Plan, submission)
//
// The child is this binary's hidden command `evaluate`; a job's own process
// loads what it applies with Policy.Load, so that values that come to be known
// late are held against the same rules.
package submit
