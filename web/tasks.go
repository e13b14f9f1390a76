package web

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/executor/remote"
)

// tasksRoute answers calls about attempts that run here for other machines
// (docs/remote.md).
func (s *Server) tasksRoute() answer {
	out := jsonBody(func(c *fiber.Ctx) error {
		if s.cfg.Tasks == nil {
			return pipelines.Errorf(pipelines.CodeInvalid, "this server runs nothing for other machines")
		}
		method := c.Params("method")
		var call remote.Call
		if err := json.Unmarshal(c.Body(), &call); err != nil {
			return pipelines.Errorf(pipelines.CodeInvalid, "the body is no call about a task: %w", err)
		}
		answer, err := s.cfg.Tasks.Serve(c.UserContext(), method, call)
		if slices.Contains([]string{remote.MethodStart, remote.MethodStop}, method) {
			status := http.StatusOK
			if err != nil {
				status = problemStatus(s.problemOf(err))
			}
			s.audit(c, asking(c), status)
		}
		if err != nil {
			return err
		}
		return c.JSON(answer)
	})
	out.body = true
	out.params = []*huma.Param{{Name: "method", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Description: "start, follow, stop, files, read, write or home"}}
	return out
}
