package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trainwright/trainwright/adapters"
	"github.com/trainwright/trainwright/adapters/service"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/runner/client"
	"github.com/trainwright/trainwright/web/submit"
)

// The environment names the servers of adapters: TIMM_SERVICE_URL has that of
// the adapter timm, TIMM_SERVICE_TOKEN its token.
const (
	serviceURL   = "_SERVICE_URL"
	serviceToken = "_SERVICE_TOKEN"
)

// services are adapters that other servers have, as `runner serve` uses them.
// Each one's description is kept in a file of the state folder, which the
// processes that evaluate and apply submissions read.
type services struct {
	app     *app
	log     *slog.Logger
	list    []submit.Service
	clients map[string]*client.Client // by adapter

	mu    sync.Mutex
	known map[string]*service.Description
	asked map[string]time.Time
}

// services reads the environment.
func (a *app) services(dir string) (*services, error) {
	s := &services{app: a, clients: map[string]*client.Client{}, known: map[string]*service.Description{}, asked: map[string]time.Time{}}
	for _, variable := range sortedKeys(a.env) {
		prefix, ok := strings.CutSuffix(variable, serviceURL)
		if !ok || prefix == "" || a.env[variable] == "" {
			continue
		}
		one := submit.Service{Adapter: strings.ToLower(prefix), URL: strings.TrimRight(a.env[variable], "/"), Token: a.env[prefix+serviceToken]}
		one.File = filepath.Join(dir, "services", one.Adapter+".json")
		a.redactor.add(one.Token, 1)
		c, err := client.Connect(one.URL, client.Options{Token: one.Token, TokenName: prefix + serviceToken})
		if err != nil {
			return nil, usagef("%s: %w", variable, err)
		}
		c.Patience = time.Second
		s.clients[one.Adapter] = c
		s.list = append(s.list, one)
	}
	return s, nil
}

// evaluating is a policy as the process gets it that evaluates submissions: no tokens.
func (s *services) evaluating(p submit.Policy) submit.Policy {
	p.Services = slices.Clone(s.list)
	for i := range p.Services {
		p.Services[i].Token = ""
	}
	return p
}

// meet asks all servers once. The adapters of those that answered, or did at
// an earlier start, take the place of this program's own of their names.
func (s *services) meet(ctx context.Context) {
	for _, one := range s.list {
		if _, _, err := s.Ask(ctx, one.Adapter); err != nil {
			s.log.Warn("an adapter's server is away; it is asked again when somebody wants it", "adapter", one.Adapter, "error", err)
			if d, err := readService(one); err == nil && d != nil {
				s.keep(one.Adapter, d)
			}
		}
		if s.last(one.Adapter) != nil {
			s.app.replaceAdapter(one.Adapter, service.Adapter{Describe: func() *service.Description { return s.last(one.Adapter) }})
		}
	}
}

func (s *services) last(name string) *service.Description {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[name]
}

func (s *services) keep(name string, d *service.Description) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[name], s.asked[name] = d, time.Now()
}

// freshFor is how long a description is taken for what a server has now.
const freshFor = 2 * time.Second

// Ask implements web.Services.
func (s *services) Ask(ctx context.Context, name string) (adapters.Adapter, bool, error) {
	i := slices.IndexFunc(s.list, func(one submit.Service) bool { return one.Adapter == name })
	if i < 0 {
		return nil, false, nil
	}
	s.mu.Lock()
	d, fresh := s.known[name], time.Since(s.asked[name]) < freshFor
	s.mu.Unlock()
	if d == nil || !fresh {
		var err error
		if d, err = s.fetch(ctx, s.list[i]); err != nil {
			return nil, true, err
		}
		s.keep(name, d)
	}
	return service.Adapter{Describe: func() *service.Description { return d }}, true, nil
}

// fetch asks a server for its adapter and notes the answer.
func (s *services) fetch(ctx context.Context, one submit.Service) (*service.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	variable := strings.ToUpper(one.Adapter) + serviceURL
	var text json.RawMessage
	if err := s.clients[one.Adapter].Get(ctx, "/api/v1/adapters/"+one.Adapter, &text); err != nil {
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "the adapter %q is that of another server (%s), and cannot be had: %w", one.Adapter, variable, err)
	}
	d, err := service.Parse(text)
	if err == nil && d.Name != one.Adapter {
		err = fmt.Errorf("it describes %q", d.Name)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(one.File), 0o755)
	}
	if err == nil {
		err = durable.WriteFile(one.File, text, 0o644)
	}
	if err != nil {
		return nil, pipelines.Errorf(pipelines.CodeUnavailable, "the adapter %q of %s (%s): %w", one.Adapter, one.URL, variable, err)
	}
	return d, nil
}

// readService reads what a server said of its adapter; nil = nothing yet.
func readService(one submit.Service) (*service.Description, error) {
	text, err := os.ReadFile(one.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return service.Parse(text)
}

// useServices takes adapters from what their servers last said of them.
func (a *app) useServices(list []submit.Service) error {
	for _, one := range list {
		d, err := readService(one)
		if err != nil {
			return fmt.Errorf("description of the adapter %q: %w", one.Adapter, err)
		}
		if d != nil {
			a.replaceAdapter(one.Adapter, service.Adapter{Describe: func() *service.Description { return d }})
		}
	}
	return nil
}

func (a *app) replaceAdapter(name string, by adapters.Adapter) {
	out := slices.DeleteFunc(slices.Clone(a.Adapters), func(x adapters.Adapter) bool { return x.Info().Name == name })
	a.Adapters = append(out, by)
}

// sendToServices has steps run on the servers of their adapters, unless the
// pipeline says where they run.
func (a *app) sendToServices(p *pipelines.Pipeline, policy submit.Policy) {
	for i, step := range p.Steps {
		k := slices.IndexFunc(policy.Services, func(one submit.Service) bool { return one.Adapter == step.Adapter })
		if k < 0 || step.Executor != "" {
			continue
		}
		one := policy.Services[k]
		address := pipelines.Address("executor.remote." + one.Adapter + "-service")
		attributes := map[string]any{"url": one.URL, "root": policy.DataRoot, "token": pipelines.NewSecret(one.Token)}
		if ad, ok := a.Adapters.Lookup(one.Adapter); ok {
			if s, ok := ad.(service.Adapter); ok {
				attributes["gpus"] = s.Describe().GPUs
			}
		}
		if p.Executors == nil {
			p.Executors = map[pipelines.Address]pipelines.ExecutorConfig{}
		}
		p.Executors[address] = pipelines.ExecutorConfig{Address: address, Type: "remote", Name: one.Adapter + "-service", Attributes: attributes}
		p.Steps[i].Executor = address
	}
}
