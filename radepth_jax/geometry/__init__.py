"""Cameras, rigid motions, bilinear sampling and resampling; for one sample, batched by vmap."""
