"""Random weights that say something: fresh ones answer nearly the same everywhere, and a test of them tests little."""

import torch
from torch import nn

from cardiacseg.models.comparison import DetSeg, PlainUNet

STAGES = ("locate", "seg", "ref")


@torch.no_grad()
def randomise(model, stacks, stages=STAGES):
    """Give stages of a system norms as after training, and outputs that vary widely over ``[F, S, 1, H, W]``."""
    for stage in stages:
        network = getattr(model, stage)
        if network is not None:
            randomise_norms(network)
            if isinstance(network, DetSeg):
                teach_detector(network, stacks)
            spread(_head(network), lambda: (model.locate(stacks), model(stacks)))
            if network.config.presence_classes:
                spread(network.classifier.mlp[-1], lambda: model(stacks))


def randomise_norms(network):
    """Statistics and scales of the batch norms as training would leave them: no two alike."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, center in ((module.weight, 1), (module.bias, 0), (module.running_mean, 0)):
                values.uniform_(center - 0.3, center + 0.3)
            module.running_var.uniform_(0.5, 1.5)


def spread(layer, forward):
    """Scale and shift one layer so that each channel of its output has mean 0 and standard deviation 3."""
    outputs = []
    with layer.register_forward_hook(lambda module, inputs, output: outputs.append(output.movedim(1, 0).flatten(1))):
        forward()
    scale = 3 / outputs[0].std(dim=1)
    layer.bias.copy_((layer.bias - outputs[0].mean(dim=1)) * scale)
    layer.weight.mul_(scale.reshape(-1, *[1] * (layer.weight.ndim - 1)))


def teach_detector(network, stacks):
    """Fit the detector's last layer, by least squares, to detect the heart in pixels that are not dark."""
    head, seen = network.det.head, []
    with head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].movedim(1, -1).flatten(0, -2))):
        size = network.detect(stacks).shape[-2:]
    bright = torch.nn.functional.adaptive_avg_pool2d(stacks.flatten(0, 2), size).flatten() > 0.1
    features = torch.cat([seen[0], torch.ones(len(seen[0]), 1)], dim=1)
    answer = torch.linalg.lstsq(features, torch.where(bright, 5.0, -5.0)[:, None]).solution
    head.weight.copy_(answer[:-1].reshape(head.weight.shape))
    head.bias.copy_(answer[-1])


def _head(network):
    if isinstance(network, PlainUNet):
        return network.unet.decoder.seg_layers[-1]
    return _head(network.seg) if isinstance(network, DetSeg) else network.head
