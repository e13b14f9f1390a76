package datasets

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// readVOC reads an XML file per image: ROOT/Annotations/SPLIT/*.xml, ROOT/voc/SPLIT/*.xml or
// ROOT/SPLIT/*.xml; or ROOT/Annotations/*.xml, divided by ROOT/ImageSets/Main/SPLIT.txt or by
// split. Images lie in ROOT/JPEGImages or ROOT/images, there or under SPLIT, or beside their
// file. Classes are those of ROOT/classes.txt, else the names in byte order. A box is from
// (xmin, ymin) to (xmax, ymax), counted from 0.
func readVOC(ctx context.Context, spec pipelines.DatasetSpec) (*labels, error) {
	v := vocReader{labels: &labels{}, spec: spec}
	if text, err := os.ReadFile(filepath.Join(spec.Path, "classes.txt")); spec.Path != "" && err == nil {
		v.classes, v.fixed = lines(string(text)), true
	}
	sources, err := v.sources()
	if err != nil {
		return nil, err
	}
	for _, split := range append([]string{""}, splitNames...) {
		for _, path := range sources[split] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := v.read(path, split); err != nil {
				return nil, fault(Unreadable, spec, Error{Path: path, Split: split}, "%w", err)
			}
		}
	}
	if !v.fixed {
		slices.Sort(v.classes)
	}
	return v.labels, nil
}

type vocReader struct {
	*labels
	spec  pipelines.DatasetSpec
	fixed bool // classes.txt named the classes
}

// sources are the XML files by split.
func (v *vocReader) sources() (map[string][]string, error) {
	out := map[string][]string{}
	if len(v.spec.Paths) > 0 {
		for split, p := range v.spec.Paths {
			if out[split] = xmlFiles(p); len(out[split]) == 0 {
				return nil, fault(NotFound, v.spec, Error{Path: p, Split: split}, "%s has no XML files; paths of a voc dataset name the folder of each split's XML files", p)
			}
		}
		return out, nil
	}
	root := v.spec.Path
	for _, split := range splitNames {
		for _, alias := range splitAliases[split] {
			for _, p := range []string{filepath.Join(root, "Annotations", alias), filepath.Join(root, "annotations", alias), filepath.Join(root, "voc", alias), filepath.Join(root, alias)} {
				if found := xmlFiles(p); len(found) > 0 && out[split] == nil {
					out[split] = found
				}
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	folder := root
	for _, p := range []string{filepath.Join(root, "Annotations"), filepath.Join(root, "annotations")} {
		if isDir(p) {
			folder = p
		}
	}
	for _, split := range splitNames {
		list := filepath.Join(root, "ImageSets", "Main", split+".txt")
		text, err := os.ReadFile(list)
		if err != nil || v.spec.Split != nil {
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue
			}
			if p := filepath.Join(folder, fields[0]+".xml"); isFile(p) {
				out[split] = append(out[split], p)
			} else {
				v.problem(fileMissing, list, i+1, "%s is not there", p)
			}
		}
	}
	if len(out) == 0 {
		out[""] = xmlFiles(folder)
	}
	if len(out[""]) == 0 && len(out) == 1 {
		if _, flat := out[""]; flat {
			return nil, fault(WrongFolder, v.spec, Error{Path: root}, "%s has no VOC labels; wanted Annotations/*.xml with ImageSets/Main/train.txt and val.txt, or Annotations/train/*.xml and Annotations/val/*.xml%s", root, hint(root))
		}
	}
	return out, nil
}

func xmlFiles(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if strings.EqualFold(filepath.Ext(e.Name()), ".xml") && !hidden(e.Name()) && !e.IsDir() {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	return out
}

type vocObject struct {
	Name string `xml:"name"`
	Box  *struct {
		XMin string `xml:"xmin"`
		YMin string `xml:"ymin"`
		XMax string `xml:"xmax"`
		YMax string `xml:"ymax"`
	} `xml:"bndbox"`
}

func (v *vocReader) read(path, split string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var name string
	var marks []mark
	d := xml.NewDecoder(bytes.NewReader(data))
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		line, _ := d.InputPos()
		if err != nil {
			v.problem(fileAnnotation, path, line, "%v", err)
			return nil
		}
		switch t := token.(type) {
		case xml.EndElement:
			depth--
		case xml.StartElement:
			depth++
			if depth != 2 {
				continue
			}
			switch t.Name.Local {
			case "filename":
				err = d.DecodeElement(&name, &t)
				depth--
			case "object":
				var o vocObject
				err = d.DecodeElement(&o, &t)
				depth--
				if err == nil {
					if m, problem := v.object(o); problem != "" {
						v.problem(fileAnnotation, path, line, "%s", problem)
					} else {
						m.file, m.line = path, line
						marks = append(marks, m)
					}
				}
			}
			if err != nil {
				v.problem(fileAnnotation, path, line, "%v", err)
				return nil
			}
		}
	}
	root := v.spec.Path
	if root == "" {
		root = filepath.Dir(filepath.Dir(path))
	}
	folders := imageFolders(root, filepath.Dir(path), split)
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	image := imageByStem(stem, folders)
	if image == "" && name != "" {
		image = imageNear(name, folders)
	}
	if image == "" {
		v.problem(fileMissing, path, 1, "there is no image %s", nonEmpty(name, stem))
		return nil
	}
	v.images = append(v.images, labelled{path: image, split: split, marks: marks})
	return nil
}

func nonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (v *vocReader) object(o vocObject) (m mark, problem string) {
	o.Name = strings.TrimSpace(o.Name)
	switch {
	case o.Name == "":
		return m, "an object has no name"
	case o.Box == nil:
		return m, fmt.Sprintf("an object %q has no bndbox", o.Name)
	case v.fixed && !slices.Contains(v.classes, o.Name):
		return m, fmt.Sprintf("%q is no class of classes.txt%s", o.Name, didYouMean(o.Name, v.classes))
	case !slices.Contains(v.classes, o.Name):
		v.classes = append(v.classes, o.Name)
	}
	var edges [4]float64
	for i, text := range []string{o.Box.XMin, o.Box.YMin, o.Box.XMax, o.Box.YMax} {
		value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return m, fmt.Sprintf("an object %q: %s of its box is %q, no number", o.Name, []string{"xmin", "ymin", "xmax", "ymax"}[i], text)
		}
		edges[i] = value
	}
	m.class, m.box.Rect = o.Name, [4]float64{edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1]}
	return m, ""
}
