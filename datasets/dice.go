package datasets

import (
	"context"

	"github.com/trainwright/trainwright/pipelines"
)

// listDice reads the platform's own layout, ROOT/{train,val[,test]}/CLASS/**.
// For classification its adapters open train and val as image folders, so it
// is imagefolder without the flat form: it arrives divided.
func listDice(ctx context.Context, spec pipelines.DatasetSpec) (*listing, error) {
	if spec.Split != nil {
		return nil, fault(BadSplit, spec, Error{Path: spec.Path}, "format \"dice\" has folders train and val and takes no split; remove split, or use format = \"imagefolder\" for a flat folder")
	}
	folders, err := subfolders(spec.Path)
	if err != nil {
		return nil, fault(WrongFolder, spec, Error{Path: spec.Path}, "%w", err)
	}
	return listDivided(ctx, spec, folders)
}
