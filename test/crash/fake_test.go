package crash

import (
	"flag"
	"math/rand/v2"
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

var kills = flag.Int("kills", 0, "how many kills each test makes; 0 = a few")

// TestKilledAtRandom kills runner, step or both; every training ends with the
// rows and the weights of one that nobody disturbed.
func TestKilledAtRandom(t *testing.T) {
	l := newLab(t, fakePipeline, fake.EnvDelay+"=5ms")
	l.images(8, 12, 3, "a", "b")
	l.finish()
	want, weights := l.comparable(), l.weights()
	if len(want) < 100 {
		t.Fatalf("an uninterrupted training has %d rows", len(want))
	}
	killRounds(t, l, 15, 500*time.Millisecond, want, weights)
}

// killRounds trains again and again, each training killed at random moments,
// until the number of kills is reached; few is that number unless -kills says more.
func killRounds(t *testing.T, l *lab, few int, within time.Duration, want map[string]float64, weights string) {
	t.Helper()
	total := *kills
	if total <= 0 {
		total = few
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	count, trainings := map[string]int{}, 0
	for made := func() int { return count["parent"] + count["child"] + count["both"] }; made() < total; trainings++ {
		l.forget()
		r := &round{lab: l, random: random, within: within, acked: map[string]float64{}, kills: count}
		for made() < total && !r.kill() {
		}
		r.finish()
		r.checkpointsAreWhole()
		r.nothingLost()
		r.storeIsSound()
		sameRows(t, want, r.comparable())
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
