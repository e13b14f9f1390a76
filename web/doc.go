// Package web is all HTTP: what `runner serve` answers. It reads a store and
// the adapters, streams events while they are filed, and stops runs. Every
// route stands in one list (routes.go) with the rule that says who may use it,
// and the OpenAPI document is made from the same registrations.
//
// Training never waits for this package: it reads what the store has.
package web
