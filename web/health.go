package web

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

var problemGoType = reflect.TypeFor[Problem]()

// fiberPath writes {id} as Fiber does.
func fiberPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

func (s *Server) healthz(c *fiber.Ctx) error { return c.SendString("ok\n") }

func (s *Server) readyz(c *fiber.Ctx) error {
	if s.stop.Err() != nil {
		return problem(http.StatusServiceUnavailable, pipelines.CodeUnavailable, "the server is stopping")
	}
	if _, err := s.cfg.Store.Runs(c.UserContext(), runner.RunFilter{Limit: 1}); err != nil {
		s.cfg.Log.Error("the store does not answer", "error", err)
		return problem(http.StatusServiceUnavailable, pipelines.CodeUnavailable, "the store does not answer; the server's log says why")
	}
	return c.SendString("ok\n")
}

func (s *Server) openapi(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(s.document)
}
