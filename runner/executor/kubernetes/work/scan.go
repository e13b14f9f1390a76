package work

import "github.com/trainwright/trainwright/runner/mirror"

// scan lists the files below some folders of a run, and the links there.
func scan(runDir string, folders ...string) (paths []string, links map[string]string, err error) {
	files, err := mirror.List(runDir, folders...)
	links = map[string]string{}
	for _, f := range files {
		if f.Link != "" {
			links[f.Path] = f.Link
		} else {
			paths = append(paths, f.Path)
		}
	}
	return paths, links, err
}
