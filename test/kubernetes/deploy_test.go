package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes"
)

// manifests reads deploy/kubernetes strictly: an unknown field is an error.
func manifests(t *testing.T) []runtime.Object {
	t.Helper()
	files, err := filepath.Glob("../../deploy/kubernetes/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var out []runtime.Object
	for _, f := range files {
		if filepath.Base(f) == "kustomization.yaml" {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		docs := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
		for {
			doc, err := docs.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			o, _, err := decoder.Decode(doc, nil, nil)
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			out = append(out, o)
		}
	}
	return out
}

// TestDeployment: the API server takes the manifests, and the account that
// they make can do all that the executor does, and nothing else of note.
func TestDeployment(t *testing.T) {
	t.Parallel()
	needCluster(t)
	ctx, c, dry := context.Background(), lab.Client, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}}
	real := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
	const ns = "trainwright"
	if err := lab.Namespace(ctx, ns); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, o := range manifests(t) {
		var err error
		switch o := o.(type) {
		case *corev1.Namespace:
			o.Name, kinds["namespace"] = "dry", kinds["namespace"]+1
			_, err = c.CoreV1().Namespaces().Create(ctx, o, dry)
		case *corev1.ServiceAccount:
			kinds["account"]++
			_, err = c.CoreV1().ServiceAccounts(ns).Create(ctx, o, real)
		case *rbacv1.Role:
			kinds["role"]++
			sameRights(t, o)
			_, err = c.RbacV1().Roles(ns).Create(ctx, o, real)
		case *rbacv1.RoleBinding:
			kinds["binding"]++
			_, err = c.RbacV1().RoleBindings(ns).Create(ctx, o, real)
		case *corev1.PersistentVolumeClaim:
			kinds["claim"]++
			_, err = c.CoreV1().PersistentVolumeClaims(ns).Create(ctx, o, dry)
		case *appsv1.Deployment:
			kinds["deployment"]++
			_, err = c.AppsV1().Deployments(ns).Create(ctx, o, dry)
		case *corev1.Service:
			kinds["service"]++
			_, err = c.CoreV1().Services(ns).Create(ctx, o, dry)
		default:
			t.Errorf("nobody looks at %T", o)
		}
		if err != nil {
			t.Errorf("%T: %v", o, err)
		}
	}
	if len(kinds) != 7 {
		t.Errorf("kinds seen: %v", slices.Sorted(maps.Keys(kinds)))
	}
	if err := lab.Claim(ctx, ns, "work", work); err != nil {
		t.Fatal(err)
	}
	kubeconfig := token(t, ns, "trainwright")
	as := func(c *kubernetes.Config) { c.Kubeconfig, c.Namespace = kubeconfig, ns }
	access, err := newExecutor(t, as).Check(ctx)
	if err != nil || len(access.Missing) > 0 || !strings.HasPrefix(access.Version, "v1.") {
		t.Fatalf("%+v, %v", access, err)
	}

	job := newJob(t, "env:OWN", "done")
	job.Secrets = map[string]pipelines.Secret{"OWN": pipelines.NewSecret("s3cret")}
	w := watch(t, newExecutor(t, as), job)
	if exit := w.wait(); exit.Code != 0 || w.saw() != "OWN=(sensitive)" {
		t.Errorf("exit %+v, %s", exit, w.saw())
	}
	w = watch(t, newExecutor(t, as), newJob(t, "say:up", "sleep:1m"))
	w.until("up")
	if err := newExecutor(t, as).Cancel(ctx, w.job); err != nil {
		t.Fatal(err)
	}
	if exit := w.wait(); exit.Code != 8 {
		t.Errorf("exit %+v", exit)
	}
}

// TestMissingPermission: what is missing is named.
func TestMissingPermission(t *testing.T) {
	t.Parallel()
	needCluster(t)
	x := newExecutor(t, func(c *kubernetes.Config) { c.Kubeconfig = token(t, "default", "default") })
	access, err := x.Check(context.Background())
	if err != nil || len(access.Missing) != len(kubernetes.Permissions()) || !strings.Contains(access.Text(), "create jobs") {
		t.Errorf("%s, %v", access.Text(), err)
	}
	job := newJob(t, "done")
	_, err = x.Run(context.Background(), job, func(context.Context, []pipelines.Event) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "doctor") || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("run: %v", err)
	}
	if live, err := x.Probe(context.Background(), pipelines.Attempt{RunID: job.Task.RunID, Number: 1, Dir: job.Task.AttemptDir}); live != runner.Unknown || err == nil {
		t.Errorf("probe: %s, %v", live, err)
	}
}

func sameRights(t *testing.T, role *rbacv1.Role) {
	t.Helper()
	granted, used := map[string]bool{}, map[string]bool{}
	for _, r := range role.Rules {
		for _, g := range r.APIGroups {
			for _, res := range r.Resources {
				for _, v := range r.Verbs {
					granted[g+" "+res+" "+v] = true
				}
			}
		}
	}
	for _, p := range kubernetes.Permissions() {
		used[p.Group+" "+p.Resource+" "+p.Verb] = true
	}
	if !maps.Equal(granted, used) {
		t.Errorf("the role grants %v, the executor uses %v", slices.Sorted(maps.Keys(granted)), slices.Sorted(maps.Keys(used)))
	}
}

func token(t *testing.T, namespace, account string) string {
	t.Helper()
	answer, err := lab.Client.CoreV1().ServiceAccounts(namespace).CreateToken(context.Background(), account,
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(3600))}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path, err := lab.TokenKubeconfig(namespace+"-"+account, namespace, answer.Status.Token)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
