package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Permission is a right in the namespace of the Jobs.
type Permission struct {
	Group, Resource, Verb string
	// For says which steps need it; "" = all.
	For string
}

func (p Permission) String() string {
	s := p.Verb + " " + p.Resource
	if p.For != "" {
		s += " (" + p.For + ")"
	}
	return s
}

// Permissions lists all rights that an executor uses. deploy/kubernetes
// grants them.
func Permissions() []Permission {
	var out []Permission
	add := func(group, resource, reason string, verbs ...string) {
		for _, v := range verbs {
			out = append(out, Permission{group, resource, v, reason})
		}
	}
	add("batch", "jobs", "", "get", "list", "watch", "create", "delete")
	add("", "pods", "", "list", "watch", "delete")
	add("", "pods/log", "", "get")
	add("", "events", "to say what a pod waits for", "list")
	add("", "secrets", "for steps with secret values", "create", "patch", "delete")
	add("", "services", "for steps on several nodes", "create")
	return out
}

// Access is what a cluster lets this user do.
type Access struct {
	Server, Namespace, Version string
	Missing                    []Permission
}

// Check asks the cluster of a block for its version and for the rights that
// steps need there. An error says that it cannot be reached or refuses to answer.
func (e *Executor) Check(ctx context.Context) (Access, error) {
	c, err := e.connect(e.Config)
	if err != nil {
		return Access{}, err
	}
	out := Access{Server: c.server, Namespace: c.namespace}
	out.Version, err = call(ctx, func(ctx context.Context) (string, error) { return version(ctx, c) })
	if err != nil {
		return out, explain(err, "ask for the version", c)
	}
	for _, p := range Permissions() {
		resource, sub, _ := strings.Cut(p.Resource, "/")
		review, err := call(ctx, func(ctx context.Context) (*authorization.SelfSubjectAccessReview, error) {
			return c.access.SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorization.ResourceAttributes{Namespace: c.namespace, Group: p.Group, Resource: resource, Subresource: sub, Verb: p.Verb}}}, metav1.CreateOptions{})
		})
		if err != nil {
			return out, explain(err, "ask for permissions", c)
		}
		if !review.Status.Allowed {
			out.Missing = append(out.Missing, p)
		}
	}
	return out, nil
}

func version(ctx context.Context, c *cluster) (string, error) {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	b, err := c.core.RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	return v.GitVersion, err
}

// Text says what is missing, for people.
func (a Access) Text() string {
	where := fmt.Sprintf("Kubernetes %s at %s, namespace %s", a.Version, a.Server, a.Namespace)
	if len(a.Missing) == 0 {
		return where
	}
	var words []string
	for _, p := range a.Missing {
		words = append(words, p.String())
	}
	slices.Sort(words)
	return where + ", where this account may not: " + strings.Join(words, ", ")
}
