package python

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"

	"github.com/trainwright/trainwright/pipelines"
)

// RunDescribe asks an adapter's source what it offers: the one moment, beside
// training, in which its Python runs. key is put into what it says; warnings
// are lines for people.
func (e Environment) RunDescribe(ctx context.Context, source, key string) (text []byte, warnings []string, err error) {
	python, err := e.Interpreter()
	if err != nil {
		return nil, nil, err
	}
	sdk, err := e.Host.SDK()
	if err != nil {
		return nil, nil, err
	}
	c := exec.CommandContext(ctx, python, "-P", "-m", "platform_sdk.describe", source)
	c.Env = os.Environ()
	for name, value := range e.Host.environ(sdk) {
		c.Env = append(c.Env, name+"="+value)
	}
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, pipelines.Errorf(pipelines.CodeInvalid, "adapter %q could not be described: %w\n%s", e.Adapter, err, lastLines(said.String(), 12))
	}
	for line := range strings.Lines(said.String()) {
		if w, ok := strings.CutPrefix(strings.TrimSpace(line), "warning: "); ok {
			warnings = append(warnings, w)
		}
	}
	text, err = withKey(out.Bytes(), key)
	if err != nil {
		return nil, warnings, pipelines.Errorf(pipelines.CodeInvalid, "adapter %q described itself in a way that cannot be read: %w", e.Adapter, err)
	}
	if _, err := ParseDescription(text); err != nil {
		return nil, warnings, pipelines.Errorf(pipelines.CodeInvalid, "adapter %q offers settings that contradict themselves: %w", e.Adapter, err)
	}
	return text, warnings, nil
}

// withKey sets the key of a description and writes it for people and diffs:
// indented, but a model and a field a line each.
func withKey(text []byte, key string) ([]byte, error) {
	var d map[string]json.RawMessage
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	quoted, err := json.Marshal(key)
	if err != nil {
		return nil, err
	}
	d["key"] = quoted
	return layout(d)
}
