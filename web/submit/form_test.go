package submit

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/hclspec"
)

func TestFormsBecomeHCL(t *testing.T) {
	var f Form
	if err := json.Unmarshal([]byte(`{"name": "flowers", "task_type": "image_classification",
		"model": {"model_name": "resnet18", "image_size": 64},
		"dataset": {"dataset_path": "a\"${env(\"HOME\")}\\b\n%{if}", "format": "imagefolder", "split": {"val": 0.2}},
		"training_config": {"epochs": 3, "learning_rate": 1e-7, "monitor": null, "advanced_config": {"optimizer": {"weight_decay": 0.1, "type": "adamw"}}}}`), &f); err != nil {
		t.Fatal(err)
	}
	r := f.Render("native")
	if len(r.Problems) > 0 {
		t.Error(r.Problems)
	}
	const want = `pipeline "flowers" {}

dataset "data" {
  format = "imagefolder"
  path   = "a\"$${env(\"HOME\")}\\b\n%%{if}"

  split {
    val = 0.2
  }
}

model "net" {
  adapter    = "native"
  name       = "resnet18"
  task       = "image_classification"
  image_size = 64
}

train "job" {
  model         = model.net
  dataset       = dataset.data
  epochs        = 3
  learning_rate = 1e-7

  config {
    optimizer {
      type         = "adamw"
      weight_decay = 0.1
    }
  }
}
`
	if r.HCL != want {
		t.Errorf("got\n%s", r.HCL)
	}
	for text, pointer := range map[string]string{
		`"adamw"`: "/training_config/advanced_config/optimizer/type", "1e-7": "/training_config/learning_rate", "epochs ": "/training_config/epochs",
		`"a\"`: "/dataset/dataset_path", "0.2": "/dataset/split/val", `"resnet18"`: "/model/model_name", `"native"`: "/framework", `train "job"`: "/training_config", `"image_c`: "/task_type",
	} {
		at := strings.Index(r.HCL, text)
		got := r.Locate([]hclspec.Diagnostic{{Range: &hclspec.JSONRange{Filename: FormFile, Start: hclspec.JSONPos{Byte: at}}}})
		if len(got) != 1 || got[0].Pointer != pointer {
			t.Errorf("%s is %+v, want %s", text, got, pointer)
		}
	}
}

// TestFormsCannotSayMoreThanValues tries to leave the place of a key or value.
func TestFormsCannotSayMoreThanValues(t *testing.T) {
	for key, pointer := range map[string]string{
		"a = 1\nepochs": "/training_config/a = 1\nepochs", "optimizer.type": "/training_config/optimizer.type", "a/b~c": "/training_config/a~1b~0c",
		"model": "/training_config/model", "config": "/training_config/config", "": "/training_config/",
	} {
		r := Form{Training: map[string]any{key: "x", "epochs": 1.0}}.Render("native")
		if len(r.Problems) != 1 || r.Problems[0].Pointer != pointer || strings.Count(r.HCL, "epochs") != 1 {
			t.Errorf("%q: %+v\n%s", key, r.Problems, r.HCL)
		}
	}
	deep := any(1.0)
	for range 500 {
		deep = map[string]any{"a": deep}
	}
	if r := (Form{Training: map[string]any{"advanced_config": deep}}).Render("native"); len(r.Problems) != 1 {
		t.Errorf("deep: %+v", r.Problems)
	}
}
