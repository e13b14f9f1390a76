package web

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
)

// checkpointFile sends a saved state: a file as it is, a folder as a tar.
func (s *Server) checkpointFile() answer {
	return download("epoch_N, latest or best", func(c *fiber.Ctx) error {
		run, err := s.find(c.UserContext(), c.Params("id"))
		if err != nil {
			return err
		}
		saved, err := s.cfg.Store.Checkpoints(c.UserContext(), run.ID)
		if err != nil {
			return err
		}
		path := ""
		for _, k := range saved { // the newest of that name
			if k.Name == c.Params("name") {
				path = k.Path
			}
		}
		return s.sendOf(c, run, path)
	})
}

// artifactFile sends a file that a run made for its users.
func (s *Server) artifactFile() answer {
	return download("the artifact's name", func(c *fiber.Ctx) error {
		run, err := s.find(c.UserContext(), c.Params("id"))
		if err != nil {
			return err
		}
		made, err := s.cfg.Store.Artifacts(c.UserContext(), run.ID)
		if err != nil {
			return err
		}
		path := ""
		for _, a := range made {
			if a.Name == c.Params("name") {
				path = a.Path
			}
		}
		return s.sendOf(c, run, path)
	})
}

const tarType = "application/x-tar"

func download(name string, h fiber.Handler) answer {
	binary := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	return answer{
		handler: h,
		params:  []*huma.Param{pathParam("id", "a run's id, or its job_id"), pathParam("name", name)},
		responses: map[string]*huma.Response{"200": {
			Description: "The file; a folder comes as a tar",
			Content:     map[string]*huma.MediaType{fiber.MIMEOctetStream: binary, tarType: binary},
		}},
	}
}

// sendOf sends a file or folder of a run. The step named the path and wrote
// what is there: only what lies in the run's own folder is sent.
func (s *Server) sendOf(c *fiber.Ctx, run pipelines.Run, path string) error {
	if path == "" {
		return problem(http.StatusNotFound, pipelines.CodeNotFound, "the run announced nothing of that name")
	}
	away := problem(http.StatusNotFound, pipelines.CodeNotFound, "its files are not here: they were removed, or lie on another machine")
	rel, err := filepath.Rel(run.Dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return away
	}
	root, err := os.OpenRoot(run.Dir)
	if err != nil {
		return away
	}
	info, err := root.Stat(rel)
	if err != nil {
		_ = root.Close()
		return away
	}
	name := run.ID + "-" + filepath.Base(rel)
	conn := c.Context().Conn()
	if info.IsDir() {
		folder, err := root.OpenRoot(rel)
		_ = root.Close()
		if err != nil {
			return away
		}
		attach(c, tarType, name+".tar")
		if c.Method() == fiber.MethodHead {
			return folder.Close()
		}
		c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
			defer folder.Close()
			if err := writeTar(patient{w, conn, s.cfg.Stall}, folder.FS(), filepath.Base(rel)); err != nil {
				s.cfg.Log.Warn("a download broke off", "run", run.ID, "file", rel, "error", err)
				_ = conn.Close() // a cut answer must not look whole
				return
			}
			_ = w.Flush()
		})
		return nil
	}
	defer root.Close()
	f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return away
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return away
	}
	attach(c, fiber.MIMEOctetStream, name)
	return c.SendStream(patientFile{f, conn, s.cfg.Stall}, int(info.Size()))
}

func attach(c *fiber.Ctx, mediaType, name string) {
	c.Set(fiber.HeaderContentType, mediaType)
	c.Set(fiber.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}

// writeTar writes the regular files of a folder below a name.
func writeTar(w io.Writer, folder fs.FS, below string) error {
	t := tar.NewWriter(w)
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := folder.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		head := &tar.Header{Name: strings.TrimPrefix(below+"/"+name, "/"), Mode: 0o644, Size: info.Size(), ModTime: info.ModTime(), Format: tar.FormatPAX}
		if err := t.WriteHeader(head); err != nil {
			return err
		}
		_, err = io.CopyN(t, f, info.Size())
		return err
	})
	return errors.Join(err, t.Close())
}

// patient gives a reader time for each piece, so that a large download over a
// slow line is no stalled one.
type patient struct {
	w     *bufio.Writer
	conn  net.Conn
	stall time.Duration
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.stall)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// patientFile does the same where the server copies.
type patientFile struct {
	f     *os.File
	conn  net.Conn
	stall time.Duration
}

func (p patientFile) Read(b []byte) (int, error) {
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.stall)); err != nil {
		return 0, err
	}
	return p.f.Read(b)
}

func (p patientFile) Close() error { return p.f.Close() }
