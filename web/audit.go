package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
)

// auditLine is one line of the audit log: who asked for what, from where, and
// what came of it. Bodies and secrets are not in it.
type auditLine struct {
	Time   time.Time `json:"time"`
	By     string    `json:"by,omitempty"` // id of the token; "" = nobody known
	Role   Scope     `json:"role,omitempty"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	From   string    `json:"from"`
	Status int       `json:"status"`
}

// audit tells of a request that would change something.
func (s *Server) audit(c *fiber.Ctx, t Token, status int) {
	line := auditLine{Time: s.cfg.Now().UTC(), By: t.ID, Role: t.Scope, Method: c.Method(), Path: c.Path(), From: c.Context().RemoteAddr().String(), Status: status}
	s.cfg.Log.Info("request", "by", line.By, "method", line.Method, "path", line.Path, "status", line.Status, "from", line.From)
	if s.cfg.Audit == nil {
		return
	}
	text, err := json.Marshal(line)
	if err == nil {
		s.auditing.Lock()
		_, err = s.cfg.Audit.Write(append(text, '\n'))
		s.auditing.Unlock()
	}
	if err != nil {
		s.cfg.Log.Error("the audit log cannot be written", "error", err)
	}
}

func problemStatus(err error) int {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return http.StatusInternalServerError
}
