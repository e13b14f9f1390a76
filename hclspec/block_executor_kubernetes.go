package hclspec

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

var volumeBlock = &blockSpec{Type: "volume", Required: []string{"path"}, Optional: []string{"claim", "host_path", "sub_path", "read_only"}, Many: true, Flags: []string{"read_only"}}

var tolerationBlock = &blockSpec{Type: "toleration", Optional: []string{"key", "operator", "value", "effect"}, Many: true,
	Words: map[string][]string{"operator": {"Equal", "Exists"}, "effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"}}}

// kubernetesBlock runs each attempt as a Job.
var kubernetesBlock = &blockSpec{Type: "executor", Labels: []string{"type", "name"}, Required: []string{"image"},
	Optional: []string{"kubeconfig", "context", "namespace", "image_pull_policy", "image_pull_secrets", "runner", "python",
		"cpus", "memory", "gpus", "gpu_resource", "shared_memory", "resources", "service_account", "node_selector", "priority_class",
		"queue", "labels", "annotations", "user", "secret_env", "nodes", "ttl"},
	Blocks: []*blockSpec{volumeBlock, tolerationBlock},
	Words:  map[string][]string{"image_pull_policy": {"Always", "IfNotPresent", "Never"}}}

// What Kubernetes takes, as far as it can be told from here. The API server
// has the last word.
var (
	kubernetesQuantity  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`)
	kubernetesName      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	kubernetesLabelKey  = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	kubernetesLabel     = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
	kubernetesUser      = regexp.MustCompile(`^[1-9][0-9]{0,8}(:[1-9][0-9]{0,8})?$`)
	kubernetesSecretRef = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$`)
)

// kubernetes checks what an executor "kubernetes" block says and reads its blocks.
func (s *scope) kubernetes(b *block, plain map[string]any, secrets map[string]pipelines.Secret) {
	for name := range secrets {
		at := b.head
		for _, a := range sortedAttributes(b.body) {
			if name == a.Name {
				at = b.at(a.Name)
			}
		}
		s.fail(at, "Sensitive value not allowed", "What stands in this block becomes part of the Job, which others in the namespace may read. Hand secrets to a step through its env, or name a Secret of the cluster: secret_env = { NAME = \"SECRET/KEY\" }.")
	}
	s.kubernetesTexts(b, plain)
	s.kubernetesMaps(b, plain)
	if t, _ := plain["ttl"].(string); t != "" {
		s.duration(b, "ttl", "ttl")
	}
	if n, ok := plain["nodes"].(int64); ok && n == 0 {
		s.fail(b.at("nodes"), "Invalid value", "\"nodes\" must be at least 1.")
	}
	var volumes, tolerations []map[string]any
	for _, v := range b.blocks["volume"] {
		volumes = append(volumes, s.volume(v))
	}
	for _, t := range b.blocks["toleration"] {
		tolerations = append(tolerations, s.toleration(t))
	}
	if len(volumes) > 0 {
		plain["volume"] = volumes
	}
	if len(tolerations) > 0 {
		plain["toleration"] = tolerations
	}
}

func (s *scope) kubernetesTexts(b *block, plain map[string]any) {
	for _, c := range []struct {
		name  string
		fits  *regexp.Regexp
		wants string
	}{
		{"memory", kubernetesQuantity, "a quantity such as \"32Gi\""},
		{"shared_memory", kubernetesQuantity, "a quantity such as \"8Gi\""},
		{"namespace", kubernetesName, "a name of lower case letters, digits and -"},
		{"service_account", kubernetesName, "a name of lower case letters, digits and -"},
		{"priority_class", kubernetesName, "a name of lower case letters, digits and -"},
		{"queue", kubernetesName, "a name of lower case letters, digits and -"},
		{"user", kubernetesUser, "\"UID\" or \"UID:GID\", in numbers"},
		{"gpu_resource", kubernetesLabelKey, "a resource such as \"nvidia.com/gpu\""},
	} {
		if t, ok := plain[c.name].(string); ok && !c.fits.MatchString(t) {
			s.fail(b.at(c.name), "Invalid value", "%q must be %s, not %q.", c.name, c.wants, t)
		}
	}
	if t, ok := plain["image_pull_policy"].(string); ok {
		s.word(b, "image_pull_policy", t)
	}
	if t, ok := plain["image"].(string); ok && (t == "" || strings.ContainsAny(t, " \t\n")) {
		s.fail(b.at("image"), "Invalid value", "\"image\" must be an image reference, not %q.", t)
	}
}

func (s *scope) kubernetesMaps(b *block, plain map[string]any) {
	for _, c := range []struct {
		name       string
		key, value *regexp.Regexp
		wants      string
	}{
		{"resources", kubernetesLabelKey, kubernetesQuantity, "a quantity such as \"100Gi\" or \"1\""},
		{"node_selector", kubernetesLabelKey, kubernetesLabel, "a label's value: up to 63 letters, digits, -, _ and ."},
		{"labels", kubernetesLabelKey, kubernetesLabel, "a label's value: up to 63 letters, digits, -, _ and ."},
		{"annotations", kubernetesLabelKey, nil, ""},
		{"secret_env", nil, kubernetesSecretRef, "a Secret and a key of it: \"SECRET/KEY\""},
	} {
		m, _ := plain[c.name].(map[string]string)
		for _, key := range slices.Sorted(maps.Keys(m)) {
			at := entryRange(b.attrs[c.name].Expr, key)
			if c.key != nil && !c.key.MatchString(key) {
				s.fail(at, "Invalid value", "%q is no key that Kubernetes takes in %q.", key, c.name)
			}
			if c.value != nil && !c.value.MatchString(m[key]) {
				s.fail(at, "Invalid value", "%q in %q must be %s, not %q.", key, c.name, c.wants, m[key])
			}
			if c.name == "secret_env" && strings.HasPrefix(key, "RUNNER_") {
				s.fail(at, "Invalid name", "%q: names that start with RUNNER_ belong to the runner.", key)
			}
			if own := map[string]string{"cpu": "cpus", "memory": "memory", "nvidia.com/gpu": "gpus"}[key]; c.name == "resources" && own != "" && plain[own] != nil {
				s.fail(at, "Conflicting arguments", "%q stands in \"resources\" and as the argument %q. Keep one.", key, own)
			}
		}
	}
}

func (s *scope) volume(b *block) map[string]any {
	out := map[string]any{}
	s.backendAttributes(b, out, map[string]pipelines.Secret{})
	claim, host := b.attrs["claim"] != nil, b.attrs["host_path"] != nil
	switch {
	case claim && host:
		s.fail(b.at("host_path"), "Conflicting arguments", "A volume is a claim or a folder of the node, not both.")
	case !claim && !host:
		s.fail(b.head, "Missing required argument", "Block volume needs \"claim\", a PersistentVolumeClaim, or \"host_path\", a folder of the node.")
	}
	for _, name := range []string{"path", "host_path"} {
		if t, ok := out[name].(string); ok && (!path.IsAbs(t) || t == "/" || path.Clean(t) != strings.TrimSuffix(t, "/")) {
			s.fail(b.at(name), "Invalid value", "%q must be an absolute path below /, without . and .., not %q.", name, t)
		}
	}
	if t, ok := out["sub_path"].(string); ok && (path.IsAbs(t) || slices.Contains(strings.Split(t, "/"), "..")) {
		s.fail(b.at("sub_path"), "Invalid value", "\"sub_path\" must be a path inside the volume, not %q.", t)
	}
	if t, ok := out["claim"].(string); ok && !kubernetesName.MatchString(t) {
		s.fail(b.at("claim"), "Invalid value", "\"claim\" must be a name of lower case letters, digits and -, not %q.", t)
	}
	return out
}

func (s *scope) toleration(b *block) map[string]any {
	out := map[string]any{}
	s.backendAttributes(b, out, map[string]pipelines.Secret{})
	if t, ok := out["operator"].(string); ok {
		s.word(b, "operator", t)
	}
	if t, ok := out["effect"].(string); ok {
		s.word(b, "effect", t)
	}
	switch {
	case out["operator"] == "Exists" && b.attrs["value"] != nil:
		s.fail(b.at("value"), "Conflicting arguments", "With operator \"Exists\" a toleration takes no value.")
	case b.attrs["key"] == nil && out["operator"] != "Exists":
		s.fail(b.head, "Missing required argument", "Block toleration needs the argument \"key\", unless operator is \"Exists\".")
	}
	return out
}

// word checks that a text is one of the words that the block's spec lists.
func (s *scope) word(b *block, name, t string) {
	if allowed := b.spec.Words[name]; !slices.Contains(allowed, t) {
		s.fail(b.at(name), "Invalid value", "%q must be %s, not %q.%s", name, orList(allowed), t, didYouMean(t, allowed))
	}
}
