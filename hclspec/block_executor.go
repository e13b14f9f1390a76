package hclspec

import (
	"regexp"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// executorBlocks are the executors by type.
var executorBlocks = map[string]*blockSpec{
	"local":      {Type: "executor", Labels: []string{"type", "name"}, Optional: []string{"slots"}},
	"dagger":     {Type: "executor", Labels: []string{"type", "name"}, Optional: []string{"image", "gpus", "user", "cpus", "memory"}},
	"kubernetes": kubernetesBlock,
	"remote":     {Type: "executor", Labels: []string{"type", "name"}, Required: []string{"url"}, Optional: []string{"token", "root", "gpus"}},
}

// attributeTypes says what the arguments of executor, artifacts, tracker and
// notify blocks hold.
var attributeTypes = map[string]string{
	"slots": "whole", "gpus": "whole", "cpus": "number", "resources": "map", "node_selector": "map",
	"nodes": "whole", "labels": "map", "annotations": "map", "secret_env": "map",
	"image_pull_secrets": "texts", "read_only": "bool",
	"headers": "map", "tags": "map", "events": "events", "path_style": "bool", "url": "url", "uri": "url", "endpoint": "url",
}

// executor decodes an executor block.
func (m *module) executor(b *block) pipelines.ExecutorConfig {
	s := m.static.scope(nil)
	s.allowSensitive = true
	out := pipelines.ExecutorConfig{
		Address: pipelines.Address(b.address()), Type: b.labels[0], Name: b.name(), Range: toRange(b.head), Attributes: map[string]any{},
	}
	secrets := map[string]pipelines.Secret{}
	s.backendAttributes(b, out.Attributes, secrets)
	if out.Type == "kubernetes" {
		s.kubernetes(b, out.Attributes, secrets)
	}
	if b.attrs["slots"] != nil {
		m.notYet(s, b.at("slots"), "One training at a time runs on a machine without GPUs, and one on each GPU; choosing how many is not part of this version.")
	}
	for name, secret := range secrets {
		out.Attributes[name] = secret
	}
	if out.Type == "dagger" {
		s.container(b, out.Attributes)
	}
	if out.Type == "remote" {
		root, _ := out.Attributes["root"].(string)
		if out.Attributes["root"] = m.resolvePath(root); root == "" {
			out.Attributes["root"] = m.resolvePath(".")
		}
	}
	m.add(s.diags...)
	return out
}

var (
	userForm   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$`)
	memoryForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?([KMGT]i?)?B?$`)
)

// container checks the arguments of an executor "dagger" block. An image that
// begins as a path is a folder with a root file system, or a saved image.
func (s *scope) container(b *block, attributes map[string]any) {
	for name, form := range map[string]*regexp.Regexp{"user": userForm, "memory": memoryForm} {
		if t, ok := attributes[name].(string); ok && !form.MatchString(t) {
			s.fail(b.at(name), "Invalid value", "%q must be %s, not %q.", name,
				map[string]string{"user": "a user, \"UID\" or \"UID:GID\"", "memory": "a size such as \"16Gi\""}[name], t)
		}
	}
	if image, ok := attributes["image"].(string); ok {
		attributes["image"] = s.image(b, image)
	}
}

// image checks the name of a container image, or makes a folder's path absolute.
func (s *scope) image(b *block, image string) string {
	if strings.HasPrefix(image, "./") || strings.HasPrefix(image, "../") || strings.HasPrefix(image, "/") {
		return s.e.m.resolvePath(image)
	}
	if image == "" || strings.ContainsAny(image, " \t\n\"'") || strings.Contains(image, "://") {
		s.fail(b.at("image"), "Invalid value", "\"image\" must be the name of a container image such as \"debian:12-slim\", or the path of a folder with a root file system (\"./rootfs\") or of a saved image (\"./image.tar\"), not %q.", image)
	}
	return image
}

// backendAttributes reads the arguments of a block by attributeTypes.
func (s *scope) backendAttributes(b *block, plain map[string]any, secrets map[string]pipelines.Secret) {
	for _, a := range sortedAttributes(b.body) {
		if b.attrs[a.Name] == nil {
			continue
		}
		switch attributeTypes[a.Name] {
		case "map":
			m := s.textMap(b, a.Name, a.Name, early, secrets)
			if m != nil {
				plain[a.Name] = m
			}
		case "whole":
			if n, ok := s.whole(b, a.Name, a.Name, 0, 4096); ok {
				plain[a.Name] = n
			}
		case "texts":
			if list, ok := s.texts(b, a.Name, a.Name); ok {
				plain[a.Name] = list
			}
		case "number":
			if x, ok := s.float(b, a.Name, a.Name, 0, 1e6); ok {
				plain[a.Name] = x
			}
		case "bool":
			if v, ok := s.boolean(b, a.Name, a.Name); ok {
				plain[a.Name] = v
			}
		case "events":
			s.events(b, plain)
		default:
			s.backendText(b, a.Name, plain, secrets)
		}
	}
}

func (s *scope) backendText(b *block, name string, plain map[string]any, secrets map[string]pipelines.Secret) {
	t, ok := s.text(b, name, name, early)
	switch {
	case !ok:
	case s.sensitive:
		secrets[name] = pipelines.NewSecret(t)
	case attributeTypes[name] == "url" && !strings.Contains(t, "://"):
		s.fail(b.at(name), "Invalid value", "%q must be an address with a scheme, such as \"https://host\", not %q.", name, t)
	default:
		plain[name] = t
	}
}
