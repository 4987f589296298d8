"""Weights and networks in other formats: PyTorch files, ImageNet weights, StableHLO and ONNX."""
