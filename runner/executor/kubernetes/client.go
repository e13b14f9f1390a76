package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	authorization "k8s.io/client-go/kubernetes/typed/authorization/v1"
	batch "k8s.io/client-go/kubernetes/typed/batch/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
)

// callTimeout bounds one call of the API server that is not followed.
const callTimeout = 15 * time.Second

// cluster is a connection and the namespace that Jobs live in. It has the
// clients of three groups; the whole set would double the program.
type cluster struct {
	core      core.CoreV1Interface
	batch     batch.BatchV1Interface
	access    authorization.AuthorizationV1Interface
	namespace string
	server    string
}

// connect reads the kubeconfig; it does not talk to the server.
func connect(c Config) (*cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.Context})
	cfg, err := loader.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			err = errors.New("there is no kubeconfig: set KUBECONFIG, write ~/.kube/config, or name one with kubeconfig = …; inside a cluster the pod's service account is used")
		}
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "no Kubernetes cluster: %s", err)
	}
	namespace := c.Namespace
	if namespace == "" {
		if namespace, _, err = loader.Namespace(); err != nil {
			return nil, pipelines.Errorf(pipelines.CodeUnavailable, "no Kubernetes namespace: %s", err)
		}
	}
	cfg.QPS, cfg.Burst = 50, 100 // a matrix starts many Jobs at once
	cfg.UserAgent = "trainwright"
	cfg.WarningHandler = rest.NoWarnings{} // they would go to standard error
	out := &cluster{namespace: namespace, server: cfg.Host}
	h, err := rest.HTTPClientFor(cfg)
	if err == nil {
		out.core, err = core.NewForConfigAndClient(cfg, h)
	}
	if err == nil {
		out.batch, err = batch.NewForConfigAndClient(cfg, h)
	}
	if err == nil {
		out.access, err = authorization.NewForConfigAndClient(cfg, h)
	}
	if err != nil {
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "no Kubernetes client for %s: %s", cfg.Host, err)
	}
	return out, nil
}

// passing says that trying again may help: the server is away, busy, or not
// ready yet. What it refused stays refused.
func passing(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		var network net.Error
		var dns *net.DNSError
		return err != nil && !errors.Is(err, context.Canceled) &&
			(errors.As(err, &network) || errors.As(err, &dns) || errors.Is(err, context.DeadlineExceeded) || isEOF(err))
	}
	code := int(status.Status().Code)
	return code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
}

// call makes one bounded call.
func call[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}

// insist makes a call again while the reason to fail is a passing one, at
// most for patience.
func insist[T any](ctx context.Context, patience time.Duration, tell func(string), f func(context.Context) (T, error)) (T, error) {
	end := time.Now().Add(patience)
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 3*time.Second) {
		v, err := call(ctx, f)
		if err == nil || ctx.Err() != nil || !passing(err) {
			return v, err
		}
		if time.Now().After(end) {
			return v, pipelines.Errorf(pipelines.CodeUnavailable, "the Kubernetes API server did not answer for %s: %w", patience, err)
		}
		tell(fmt.Sprintf("the Kubernetes API server does not answer (%s); asked again", err))
		if !runner.Sleep(ctx, delay) {
			return v, ctx.Err()
		}
	}
}
