package crash

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/trainwright/trainwright/adapters/adaptertest/fake"
)

const fakePipeline = `
pipeline "crash" {}

dataset "d" {
  format = "imagefolder"
  path   = "data"
}

model "m" {
  adapter = "fake"
  name    = "tiny"
  task    = "image_classification"
}

train "a" {
  model      = model.m
  dataset    = dataset.d
  epochs     = 12
  batch_size = 4
  seed       = 7
  config {
    optimizer {
      type = "sgd"
    }
    scheduler {
      type = "cosine"
    }
  }
}
`

// kills is how many kills a test makes: few in every run of the tests,
// CRASH_KILLS of them when that is set (make crash).
func kills(t *testing.T, few int) int {
	t.Helper()
	s := os.Getenv("CRASH_KILLS")
	if s == "" {
		return few
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("CRASH_KILLS=%q is no number", s)
	}
	return n
}

// TestKilledAtRandom kills runner, step or both until the number of kills is
// reached; every training ends with the rows and the weights of one that
// nobody disturbed.
func TestKilledAtRandom(t *testing.T) {
	l := newLab(t, fakePipeline, fake.EnvDelay+"=5ms")
	l.images(8, 12, 3, "a", "b")
	l.finish()
	want, weights := l.rows(false), l.weights()
	if len(want) < 100 {
		t.Fatalf("an uninterrupted training has %d rows", len(want))
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	count, trainings, total := map[string]int{}, 0, kills(t, 15)
	for made := func() int { return count["parent"] + count["child"] + count["both"] }; made() < total; trainings++ {
		l.forget()
		r := &round{lab: l, random: random, within: 500 * time.Millisecond, acked: map[string]float64{}, kills: count}
		for made() < total && !r.kill() {
		}
		r.finish()
		r.checkpointsAreWhole()
		r.nothingLost()
		sameRows(t, want, r.rows(false))
		if r.weights() != weights {
			t.Error("the weights differ from those of an uninterrupted training")
		}
		if left := r.steps(); len(left) > 0 {
			t.Errorf("processes %v are left over", left)
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d trainings, kills: %v", trainings, count)
}
