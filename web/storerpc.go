package web

import (
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"github.com/trainwright/trainwright/pipelines"
	storehttp "github.com/trainwright/trainwright/runner/store/http"
)

// storeRoute lets another machine keep its state here (package storehttp).
func (s *Server) storeRoute() answer {
	out := jsonBody(func(c *fiber.Ctx) error {
		if s.cfg.Remote == nil {
			return pipelines.Errorf(pipelines.CodeUnavailable, "this server keeps no state for others")
		}
		var call storehttp.Call
		if err := json.Unmarshal(c.Body(), &call); err != nil {
			return pipelines.Errorf(pipelines.CodeInvalid, "the body is no call of a store: %w", err)
		}
		answer, err := storehttp.Serve(c.UserContext(), s.cfg.Remote, c.Params("method"), call)
		if err != nil {
			return err
		}
		return c.JSON(answer)
	})
	out.body = true
	out.params = []*huma.Param{{Name: "method", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Description: "of runner.Store"}}
	return out
}
