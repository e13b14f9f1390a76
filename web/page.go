package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
)

// built is the page as `make ui` builds it from web/ui; it is committed, so
// that building the runner needs no Node.js.
//
//go:embed ui/dist
var built embed.FS

// pagePolicy lets the page load its own files and talk to its own server, and
// nothing else: no inline script or style, no eval, no other host.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// pageFile is a built file, ready to be sent.
type pageFile struct {
	mediaType string
	tag       string
	body      []byte
	zipped    []byte // nil where it saves nothing
}

// page is the built files by path: index.html, assets/NAME.
func page() (map[string]pageFile, error) {
	files := map[string]pageFile{}
	dist, err := fs.Sub(built, "ui/dist")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	err = fs.WalkDir(dist, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		f := pageFile{mediaType: mediaTypeOf(name), tag: `"` + hex.EncodeToString(sum[:16]) + `"`, body: body}
		var zipped bytes.Buffer
		w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(body); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if zipped.Len() < len(body)*9/10 {
			f.zipped = zipped.Bytes()
		}
		files[name] = f
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	if _, ok := files["index.html"]; !ok {
		return nil, pipelines.Errorf(pipelines.CodeInternal, "the page was not built: make ui")
	}
	return files, nil
}

// mediaTypeOf does not ask the system's table, which differs between machines.
func mediaTypeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// index is the page. It tells nothing: what it shows, it asks for.
func (s *Server) index() answer {
	a := text("text/html", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentSecurityPolicy, pagePolicy)
		c.Set("Cross-Origin-Opener-Policy", "same-origin")
		c.Set(fiber.HeaderCacheControl, "no-cache")
		return s.sendFile(c, "index.html")
	})
	a.responses["304"] = &huma.Response{Description: "Nothing changed since the response of that ETag"}
	return a
}

// asset is one of the page's files. Its name holds a hash of what it holds.
func (s *Server) asset() answer {
	a := answer{
		handler: func(c *fiber.Ctx) error {
			name := "assets/" + c.Params("name")
			if _, ok := s.files[name]; !ok {
				return problem(http.StatusNotFound, pipelines.CodeNotFound, "the page has no such file")
			}
			c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
			return s.sendFile(c, name)
		},
		params:    []*huma.Param{pathParam("name", "the file's name")},
		responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{}}, "304": {Description: "Nothing changed since the response of that ETag"}},
	}
	for name, f := range s.files {
		if t, _, err := mime.ParseMediaType(f.mediaType); err == nil && strings.HasPrefix(name, "assets/") {
			a.responses["200"].Content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	return a
}

func (s *Server) sendFile(c *fiber.Ctx, name string) error {
	f := s.files[name]
	c.Set(fiber.HeaderETag, f.tag)
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	if matches(c.Get(fiber.HeaderIfNoneMatch), f.tag) {
		return c.SendStatus(http.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, f.mediaType)
	if f.zipped != nil && c.AcceptsEncodings("gzip") == "gzip" {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(f.zipped)
	}
	return c.Send(f.body)
}

func pathParam(name, doc string) *huma.Param {
	return &huma.Param{Name: name, In: "path", Required: true, Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
}
