package datasets

import (
	"fmt"

	"github.com/trainwright/trainwright/pipelines"
)

// Kind says what is wrong with a dataset.
type Kind string

const (
	NotFound     Kind = "not_found"     // the folder does not exist
	NotAFolder   Kind = "not_a_folder"  // the path is a file
	WrongFolder  Kind = "wrong_folder"  // the folder is not laid out as the format says
	Unreadable   Kind = "unreadable"    // a folder in it cannot be read
	NoImages     Kind = "no_images"     // nothing usable in it
	OneClass     Kind = "one_class"     // fewer than two classes
	EmptyClass   Kind = "empty_class"   // a class without usable training images
	MissingClass Kind = "missing_class" // a class of train that val lacks
	ExtraClass   Kind = "extra_class"   // a class of val or test that train lacks
	UnknownClass Kind = "unknown_class" // classes names one that is not there
	UnknownSplit Kind = "unknown_split" // a split other than train, val, test
	MissingSplit Kind = "missing_split" // no train or no val
	BadSplit     Kind = "bad_split"     // a split that cannot be made
	Unavailable  Kind = "unavailable"   // a format or place that this version does not read
)

// File kinds, in pipelines.FileProblem.Kind.
const (
	fileUnreadable = "unreadable"
	fileNotImage   = "not_image"
	fileCorrupt    = "corrupt"
	fileBomb       = "bomb"
	fileAnnotation = "annotation"    // a line of a label file
	fileMissing    = "missing_image" // labels of an image that is not there
)

// Error is one thing that makes a dataset unusable. Its text says what, where
// and what to do; errors.As finds it, pipelines.CodeOf gives its code.
type Error struct {
	Kind    Kind
	Dataset string
	Path    string // folder or file, may be empty
	Split   string // may be empty
	Class   string // may be empty
	err     *pipelines.Error
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the *pipelines.Error with the code and message.
func (e *Error) Unwrap() error { return e.err }

// fault makes an Error about spec; the message goes behind the dataset's name.
func fault(kind Kind, spec pipelines.DatasetSpec, at Error, format string, args ...any) *Error {
	code := pipelines.CodeInvalid
	switch kind {
	case NotFound:
		code = pipelines.CodeNotFound
	case Unavailable:
		code = pipelines.CodeUnavailable
	}
	at.Kind, at.Dataset = kind, spec.Name
	name := "dataset"
	if spec.Name != "" {
		name = fmt.Sprintf("dataset %q", spec.Name)
	}
	at.err = pipelines.Errorf(code, name+": "+format, args...)
	return &at
}
