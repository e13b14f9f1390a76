package serve

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/client"
	storehttp "github.com/trainwright/trainwright/runner/store/http"
	"github.com/trainwright/trainwright/web"
)

const loggerScript = `
import sys
from platform_sdk.logger import TrainingLogger
log = TrainingLogger(job_id=int(sys.argv[1]), backend_url=sys.argv[2])
assert log.enabled and log.backend_url
log.update_status("running")
for epoch in range(3):
    log.log_metrics(epoch=epoch, loss=1.0 / (epoch + 1), accuracy=0.5, learning_rate=0.001, extra_metrics={"val_loss": float("nan"), "f1": 0.4})
log.log_validation(epoch=2, task_type="image_classification", primary_metric_name="accuracy", primary_metric_value=0.9, per_class_metrics={"cat": {"recall": 1.0}})
log.log_message("Starting data loading", level="INFO")
log.close()
assert log._sink.lost == 0
`

// TestSDKLogger points the SDK's logger at a server, with the run's own token,
// and starts the server anew in between.
func TestSDKLogger(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	sdk, err := filepath.Abs("../../sdk/python")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command(python, "-c", "import platform_sdk.logger")
	check.Env = append(os.Environ(), "PYTHONPATH="+sdk)
	if out, err := check.CombinedOutput(); err != nil {
		t.Skipf("the SDK cannot be imported here: %s", out)
	}
	const admin = "admin-token-of-the-serve-tests"
	s := newSite(t, "", "RUNNER_ADMIN_TOKEN="+admin)
	s.start("--workers", "0")
	ctx := context.Background()
	remote, err := storehttp.Open(ctx, "http://"+s.addr, token)
	if err != nil {
		t.Fatal(err)
	}
	run, err := remote.CreateRun(ctx, pipelines.Run{ID: "r", Pipeline: "p", Address: "train.t", Status: pipelines.StatusRunning, Kind: pipelines.KindTrain, Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	var made web.NewTokenAnswer
	owner, err := client.New("http://"+s.addr, admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.PostOnce(ctx, "/api/v1/tokens", map[string]any{"role": "run-report", "run_id": run.ID}, &made); err != nil {
		t.Fatal(err)
	}
	s.kill() // the logger waits for it
	cmd := exec.Command(python, "-c", loggerScript, "1", "http://"+s.addr)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+sdk, "PLATFORM_BACKEND_TOKEN="+made.Secret)
	out := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	s.start("--workers", "0")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rows, err := remote.Metrics(ctx, runner.MetricFilter{RunID: "r"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range rows {
		got[r.Split+"/"+r.Name+"/"+r.Class]++
	}
	if got["train/loss/"] != 3 || got["val/f1/"] != 3 || got["val/accuracy/"] != 3 || got["val/recall/cat"] != 1 {
		t.Errorf("metrics that arrived: %v", got)
	}
	messages, err := remote.Messages(ctx, "r", 10)
	if err != nil || len(messages) != 1 || messages[0].Message.Text != "Starting data loading" {
		t.Errorf("messages %v, %v", messages, err)
	}
}
