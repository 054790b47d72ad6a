"""A server of MRD (ISMRMRD version 1) streams, as scanner-side hosts send them: images in, label images out."""
