// Package hclspec is the language: a folder of HCL files becomes a
// pipelines.Pipeline and hcl.Diagnostics. Load reads, checks and decodes;
// every step of the result carries closures that evaluate what depends on the
// results of other steps. spec.md beside this file describes every block and
// rule.
//
//	pipeline, files, diags := hclspec.Load(ctx, "examples/glyphs", hclspec.Options{Catalog: catalog, Validate: true})
//	hclspec.WriteText(os.Stderr, files, diags, hclspec.TextOptions{})
//
// The package knows adapters only through Catalog and never touches data,
// runs programs or opens connections. What comes in may be hostile: guard.go
// bounds what is parsed, budget.go what is evaluated.
package hclspec
