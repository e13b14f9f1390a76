// Package checkpoint writes, verifies, finds and retires saved states of
// training on disk. It knows files, not tensors.
//
// A checkpoint is a folder that never changes once it has its name:
//
//	checkpoints/
//	  epoch_3/      manifest.json, weights.safetensors, state.json, …
//	  step_1250/    the same, within an epoch
//	  latest -> epoch_3
//	  best   -> epoch_2
//
// It is written under a hidden temporary name, every file and then the folder
// is synced, and one rename makes it visible; latest and best are symbolic
// links that are replaced by a rename too. So a crash at any moment leaves
// whole checkpoints and, at worst, a hidden folder that [Sweep] removes.
// manifest.json holds the SHA-256 and size of every other file; [Open] verifies
// them, and [Newest] falls back to the checkpoint before when one is damaged.
package checkpoint
