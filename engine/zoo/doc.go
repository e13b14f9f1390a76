// Package zoo holds the models that the native engine trains, as functions
// that add them to a graph. Parameter and buffer names and shapes are those of
// the timm library, so its weights load by name.
//
// To add a model, write its file and one line in All.
package zoo
