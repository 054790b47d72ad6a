"""Training: configuration, data, augmentation, losses and the loop. Needs torch, not the compiled core."""
