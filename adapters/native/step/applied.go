package step

import (
	"github.com/trainwright/trainwright/engine/data"
	"github.com/trainwright/trainwright/engine/train"
	"github.com/trainwright/trainwright/pipelines"
)

// applied tells what the engine built in the schema's names.
func applied(a train.Applied) *pipelines.ConfigApplied {
	values := map[string]any{
		"optimizer.type":          a.Optimizer.Type,
		"optimizer.learning_rate": a.Schedule.LearningRate,
		"optimizer.weight_decay":  a.Optimizer.WeightDecay,
		"scheduler.type":          a.Schedule.Type,
		"scheduler.warmup_epochs": a.Schedule.WarmupEpochs,
		"augmentation.enabled":    a.Loader.Augment != data.Augment{},
		"mixed_precision":         a.MixedPrecision,
		"gradient_clip_value":     a.ClipNorm,
		"gradient_accumulation":   a.Accumulate,
		"label_smoothing":         a.LabelSmoothing,
		"ema_decay":               a.EMADecay,
		"early_stopping.patience": a.Patience,
		"drop_last":               a.Loader.DropLast,
	}
	if a.Optimizer.Type == "sgd" {
		values["optimizer.momentum"] = a.Optimizer.Momentum
		values["optimizer.nesterov"] = a.Optimizer.Nesterov
	} else {
		values["optimizer.beta1"] = a.Optimizer.Beta1
		values["optimizer.beta2"] = a.Optimizer.Beta2
		values["optimizer.eps"] = a.Optimizer.Eps
	}
	switch a.Schedule.Type {
	case "cosine":
		values["scheduler.T_max"] = a.Schedule.TMax
		if a.Schedule.TMax == 0 {
			values["scheduler.T_max"] = a.Schedule.Epochs
		}
		values["scheduler.eta_min"] = a.Schedule.EtaMin
	case "step":
		values["scheduler.step_size"] = a.Schedule.StepSize
		values["scheduler.gamma"] = a.Schedule.Gamma
	}
	values["augmentation.random_flip"] = a.Loader.Augment.RandomFlip
	values["augmentation.random_crop"] = a.Loader.Augment.RandomCrop
	values["augmentation.rotation"] = a.Loader.Augment.Rotation
	values["augmentation.color_jitter"] = a.Loader.Augment.ColorJitter
	return &pipelines.ConfigApplied{
		Values: values,
		Attributes: map[string]any{
			"epochs": a.Epochs, "batch_size": a.Loader.BatchSize, "learning_rate": a.Schedule.LearningRate, "seed": a.Seed,
			"image_size": a.ImageSize, "num_classes": a.Classes, "device": a.Device, "precision": a.Precision, "num_workers": a.Loader.Workers,
			"monitor": a.Monitor, "mode": mode(a.Minimize), "parameters": a.Parameters, "frozen": len(a.Frozen), "weights": a.Weights,
		},
		Unsupported: a.Inactive,
		Proof:       "objects",
		Environment: a.Environment,
	}
}

func mode(minimize bool) string {
	if minimize {
		return "min"
	}
	return "max"
}
