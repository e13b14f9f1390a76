// Package train runs the native training loop: it compiles a whole training
// step (forward, loss, backward, clipping, update, moving average, running
// statistics) into one ONNX graph, runs it batch by batch through ONNX Runtime,
// validates after each epoch and keeps checkpoints from which a stopped or
// killed training goes on, bit for bit in the same environment.
//
//	result, err := train.Run(ctx, cfg, func(e train.Event) error { … })
//
// Parameters and optimizer state lie in paired buffers that are bound once: a
// step reads one of each pair and writes the other. Per step the batch (uint8
// NHWC) and a few scalars (learning rate, bias corrections) go in, and the loss
// comes out, so schedules need no new graph. A shorter last batch of an epoch
// has a graph of its own, and so have gradient accumulation and evaluation.
//
// Rules are PyTorch's: label smoothing in training only; an accumulation
// window is averaged over its samples, however many; batch norm's running
// statistics follow every batch; the moving average follows every update and
// takes over in validation, best checkpoint and export.
//
// [Evaluate], [Predict] and [Export] work with the ONNX file that is deployed.
package train
