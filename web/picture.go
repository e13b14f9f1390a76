package web

import (
	"context"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
)

// pictures makes small pictures of samples. A step names its samples, so that
// a path is only read as an image, and what is sent was drawn anew from its pixels.
type pictures struct {
	make  func(path string) ([]byte, error)
	busy  chan struct{} // bounds how many are made at once, beside a training
	mu    sync.Mutex
	run   string              // whose samples are known
	paths map[string]struct{} // its samples
}

func newPictures(f func(string) ([]byte, error)) *pictures {
	return &pictures{make: f, busy: make(chan struct{}, 2)}
}

func (s *Server) picture() answer {
	return answer{
		handler: func(c *fiber.Ctx) error {
			run, err := s.find(c.UserContext(), c.Params("id"))
			if err != nil {
				return err
			}
			path := c.Query("path")
			known, err := s.sampled(c.UserContext(), run.ID, path)
			if err != nil {
				return err
			}
			if !known || s.pictures.make == nil {
				return problem(http.StatusNotFound, pipelines.CodeNotFound, "path is none of this run's samples")
			}
			select {
			case s.pictures.busy <- struct{}{}:
				defer func() { <-s.pictures.busy }()
			case <-c.UserContext().Done():
				return problem(http.StatusServiceUnavailable, pipelines.CodeUnavailable, "too many pictures are asked for at once")
			}
			small, err := s.pictures.make(path)
			if err != nil {
				s.cfg.Log.Debug("a sample cannot be shown", "run", run.ID, "path", path, "error", err)
				return problem(http.StatusNotFound, pipelines.CodeNotFound, "the sample's file is not here, or no image that can be read")
			}
			c.Set(fiber.HeaderContentType, "image/jpeg")
			c.Set(fiber.HeaderCacheControl, "private, max-age=3600")
			return c.Send(small)
		},
		params: []*huma.Param{
			pathParam("id", "a run's id, or its job_id"),
			{Name: "path", In: "query", Required: true, Description: "of a sample in the run's validation", Schema: &huma.Schema{Type: huma.TypeString}},
		},
		responses: map[string]*huma.Response{"200": {Description: "The image, small", Content: map[string]*huma.MediaType{
			"image/jpeg": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		}}},
	}
}

// sampled reports that a validation of the run names the path. Pages ask for
// many pictures of one run, whose paths are read once.
func (s *Server) sampled(ctx context.Context, run, path string) (bool, error) {
	p := s.pictures
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == run {
		if _, ok := p.paths[path]; ok {
			return true, nil
		}
	}
	passes, err := s.cfg.Store.Validations(ctx, run)
	if err != nil {
		return false, err
	}
	p.run, p.paths = run, map[string]struct{}{}
	for _, v := range passes {
		for _, x := range v.Samples {
			p.paths[x.Path] = struct{}{}
		}
	}
	_, ok := p.paths[path]
	return ok, nil
}
