package kubernetes

import (
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/trainwright/trainwright/pipelines/durable"
	"github.com/trainwright/trainwright/pipelines/spool"
	"github.com/trainwright/trainwright/runner"
	"github.com/trainwright/trainwright/runner/executor/kubernetes/pod"
)

// Files of this executor in the attempt folder.
const (
	recordFile = "kubernetes.json"      // where the attempt's Job is
	stopFile   = "kubernetes-stop.json" // it was asked to stop
)

// record is kubernetes.json. It is written before the Job is made, without
// UID, and again after.
type record struct {
	Kubeconfig string    `json:"kubeconfig,omitempty"`
	Context    string    `json:"context,omitempty"`
	Namespace  string    `json:"namespace"`
	Job        string    `json:"job"`
	UID        types.UID `json:"uid,omitempty"`
	Created    time.Time `json:"created"`
	// Bucket: the attempt's files travel through a bucket.
	Bucket bool `json:"bucket,omitempty"`
}

func readRecord(dir string) (record, bool, error) {
	var r record
	ok, err := durable.ReadJSON(filepath.Join(dir, recordFile), &r)
	return r, ok, err
}

func writeRecord(dir string, r record) error {
	return durable.WriteJSON(filepath.Join(dir, recordFile), r, 0o644)
}

// stopNote is kubernetes-stop.json.
type stopNote struct {
	Time time.Time `json:"time"`
}

func stopAsked(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, stopFile))
	return err == nil
}

// savedExit is the end as the pod itself saw it.
func savedExit(dir string) *runner.Exit {
	var x runner.Exit
	if ok, err := durable.ReadJSON(filepath.Join(dir, pod.ExitFile), &x); !ok || err != nil {
		return nil
	}
	return &x
}

// left reports that the attempt has traces of a start in its folder.
func left(dir string) bool {
	for _, name := range []string{spool.EventsFile, pod.ExitFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
