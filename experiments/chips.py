"""Accelerators that XLA can compile for although none is at hand, and what it must know of them.

The numbers are from the makers' data sheets and CUDA's table of compute capabilities. The rates of
matrix products are dense ones. Those of convolutions in float32 are TF32's, which cuDNN uses.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        title: the device's name.
        capability: CUDA's (major, minor).
        cores: streaming multiprocessors.
        units: float32 units of each multiprocessor.
        clock: the boosted clock in GHz.
        memory: bytes.
        bandwidth: bytes a second.
        cache: bytes of L2.
        shared: bytes of shared memory of a multiprocessor.
        threads: threads of a multiprocessor.
        tf32: operations a second of a matrix product.
        bf16: the same in bfloat16.
    """

    title: str
    capability: tuple[int, int]
    cores: int
    units: int
    clock: float
    memory: float
    bandwidth: float
    cache: int
    shared: int
    threads: int
    tf32: float
    bf16: float

    def target_config(self) -> str:
        """XLA's `GpuTargetConfigProto` as text."""
        major, minor = self.capability
        return f"""
gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {self.shared}
  threads_per_core_limit: {self.threads}
  core_count: {self.cores}
  fpus_per_core: {self.units}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: {int(self.bandwidth)}
  l2_cache_size: {self.cache}
  clock_rate_ghz: {self.clock}
  device_memory_size: {int(self.memory)}
  shared_memory_per_block_optin: {self.shared - 1024}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: "{self.title}"
"""


@dataclass(frozen=True)
class Tpu:
    """A TPU.

    Attributes:
        title: the device's name.
        topology: the smallest one that libtpu compiles for.
        memory: bytes of a chip.
        bandwidth: bytes a second.
        bf16: operations a second of a matrix product.
        clock: GHz, for the compiler's cycles.
    """

    title: str
    topology: str
    memory: float
    bandwidth: float
    bf16: float
    clock: float


KB, MB, GIB = 1024, 1024**2, 1024**3
CHIPS: dict[str, Gpu | Tpu] = {
    "h100": Gpu(
        "NVIDIA H100 80GB HBM3",
        *((9, 0), 132, 128, 1.98, 79.1 * GIB, 3.352e12, 50 * MB, 228 * KB, 2048, 494e12, 989e12),
    ),
    "h200": Gpu(
        "NVIDIA H200",
        *((9, 0), 132, 128, 1.98, 139.8 * GIB, 4.8e12, 50 * MB, 228 * KB, 2048, 494e12, 989e12),
    ),
    "a100": Gpu(
        "NVIDIA A100-SXM4-80GB",
        *((8, 0), 108, 64, 1.41, 79.2 * GIB, 2.039e12, 40 * MB, 164 * KB, 2048, 156e12, 312e12),
    ),
    "l4": Gpu(
        "NVIDIA L4",
        *((8, 9), 58, 128, 2.04, 22.0 * GIB, 0.3e12, 48 * MB, 100 * KB, 1536, 60e12, 121e12),
    ),
    "rtx4090": Gpu(
        "NVIDIA GeForce RTX 4090",
        *((8, 9), 128, 128, 2.52, 23.5 * GIB, 1.008e12, 72 * MB, 100 * KB, 1536, 83e12, 165e12),
    ),
    "v5e": Tpu("TPU v5e", "v5e:2x2", 15.75 * GIB, 0.819e12, 197e12, 1.5),
    "v5p": Tpu("TPU v5p", "v5p:2x2x1", 95 * GIB, 2.765e12, 459e12, 1.75),
    "v6e": Tpu("TPU v6e", "v6e:2x2", 31.25 * GIB, 1.64e12, 918e12, 1.75),
}
