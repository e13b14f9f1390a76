package cli

import (
	"cmp"
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trainwright/trainwright/datasets"
	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/web/submit"
)

// policyFlags say what submitted pipelines may use.
type policyFlags struct {
	dataRoot  string
	saveRoot  string
	env       []string
	executors []string
	artifacts []string
	images    []string
	buckets   []string
	private   bool
}

func (f *policyFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.dataRoot, "data-root", "", "submitted pipelines name paths under `DIR`, and relative to it; without it none")
	c.Flags().StringVar(&f.saveRoot, "save-root", "", "submitted pipelines may be saved under `DIR`; without it not")
	c.Flags().StringSliceVar(&f.env, "allow-env", nil, "submitted pipelines may read the environment variable `NAME`, and steps on this machine set it; may be repeated")
	c.Flags().StringArrayVar(&f.executors, "allow-executor", nil, "submitted pipelines may use executors of `TYPE[,ARGUMENT=VALUE]` besides local; may be repeated")
	c.Flags().StringArrayVar(&f.artifacts, "allow-artifacts", nil, "submitted pipelines may keep checkpoints and artifacts where `TYPE,ARGUMENT=VALUE` says, as in s3,bucket=models; may be repeated")
	c.Flags().StringSliceVar(&f.images, "allow-image", nil, "submitted pipelines may use the container `IMAGE`; a * at the end stands for any rest; may be repeated")
	c.Flags().StringSliceVar(&f.buckets, "allow-bucket", nil, "steps of other machines (executor \"remote\") may read data in the bucket `NAME`, with this server's keys; may be repeated")
	c.Flags().BoolVar(&f.private, "allow-private-addresses", false, "steps of submitted pipelines may use servers (executor \"remote\") on this machine and in private networks")
}

// policy checks the flags.
func (a *app) policy(f policyFlags, place storePlace) (p submit.Policy, saveRoot string, err error) {
	p = submit.Policy{StateDir: place.dir, Env: f.env, Images: f.images, PrivateAddresses: f.private}
	if f.dataRoot != "" {
		if p.DataRoot, err = a.folder("--data-root", f.dataRoot); err != nil {
			return p, "", err
		}
	}
	if f.saveRoot != "" {
		if saveRoot, err = a.folder("--save-root", f.saveRoot); err != nil {
			return p, "", err
		}
	}
	if p.Executors, err = rules("--allow-executor", f.executors); err != nil {
		return p, "", err
	}
	if p.Artifacts, err = rules("--allow-artifacts", f.artifacts); err != nil {
		return p, "", err
	}
	for _, r := range p.Artifacts {
		if path, ok := r.Arguments["path"]; ok && !filepath.IsAbs(path) {
			return p, "", usagef("--allow-artifacts: the path %q is relative; each submission would have its own", path)
		}
	}
	return p, saveRoot, nil
}

func rules(flag string, texts []string) (out []submit.Rule, err error) {
	for _, text := range texts {
		rule, err := submit.ParseRule(text)
		if err != nil {
			return nil, usagef("%s: %w", flag, err)
		}
		out = append(out, rule)
	}
	return out, nil
}

// folder is the absolute path of a folder that a flag names.
func (a *app) folder(flag, path string) (string, error) {
	abs, err := a.absPath(path)
	if err != nil {
		return "", usagef("%s: %w", flag, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", usagef("%s: %w", flag, err)
	}
	if !info.IsDir() {
		return "", usagef("%s: %s is not a folder", flag, abs)
	}
	return abs, nil
}

// evaluator is the process that evaluates submissions for a server.
func (a *app) evaluator(policy submit.Policy, place storePlace) (*submit.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := submit.Process{Command: []string{self, "evaluate"}, Policy: policy, Store: cmp.Or(place.address, place.path), GPUs: countGPUs(), Environ: a.getenv, Log: a.log}
	if cache, err := userCache(); err == nil {
		p.Cache = filepath.Join(cache, "datasets.gob")
	}
	return submit.NewProcess(p), nil
}

// offered are the datasets under a server's data root, "" = none.
type offered struct{ root string }

func (offered) Formats() []string { return datasets.Formats() }

// Find lists them by paths relative to the root, as submitted pipelines write them.
func (o offered) Find(ctx context.Context) []pipelines.DatasetSpec {
	if o.root == "" {
		return nil
	}
	found := datasets.Find(ctx, o.root)
	for i := range found {
		if rel, err := filepath.Rel(o.root, found[i].Path); err == nil {
			found[i].Path = filepath.ToSlash(rel)
		}
	}
	return found
}
