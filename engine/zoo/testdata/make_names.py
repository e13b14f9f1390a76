"""Writes timm/NAME.txt: the state_dict names and shapes of each zoo model in timm.

Run from this folder with `pip install torch timm`; the Go test compares the
zoo's parameters and buffers with these lists, for 1000 classes.
"""
import timm

MODELS = ["resnet18", "resnet34", "resnet50", "mobilenetv3_small_100", "vit_tiny_patch16_224", "vit_small_patch16_224", "convnext_tiny"]

for name in MODELS:
    model = timm.create_model(name, num_classes=1000)
    cfg = model.pretrained_cfg
    count = sum(p.numel() for p in model.parameters())
    with open(f"timm/{name}.txt", "w") as f:
        f.write(f"# timm {timm.__version__}, {count} parameters, {cfg['hf_hub_id']}, mean {cfg['mean']} std {cfg['std']} {cfg['interpolation']} crop {cfg['crop_pct']}, {cfg.get('license')}\n")
        trainable = dict(model.named_parameters())
        for key, value in model.state_dict().items():
            if key.endswith("num_batches_tracked"):
                continue
            kind = "param" if key in trainable else "buffer"
            f.write(f"{kind} {key} {'x'.join(map(str, value.shape)) or 'scalar'}\n")
