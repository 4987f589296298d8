# The command `radepth`, with the versions that the tests ran with:
#
#     docker build --tag radepth .
#     docker run --rm --volume "$PWD":/work radepth predict photo.jpg
#
# and for NVIDIA GPUs, whose driver and container toolkit the host has:
#
#     docker build --tag radepth-cuda --build-arg EXTRAS=cuda12,onnx,heic,viewers,lens .
#     docker run --rm --gpus all --volume "$PWD":/work radepth-cuda doctor
FROM python:3.11-slim

ARG EXTRAS=onnx,heic,viewers,lens
WORKDIR /source
COPY pyproject.toml constraints.txt MANIFEST.in README.md LICENSE NOTICE ./
COPY radepth_jax radepth_jax
RUN pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"
COPY configs /configs

# Not root: what it writes to /work belongs to the first user of most hosts.
RUN useradd --uid 1000 --create-home radepth
USER radepth
WORKDIR /work
ENTRYPOINT ["radepth"]
CMD ["--help"]
