"""Checks of the CUDA image that need no GPU.

python .ci/image/gpu.py docker|podman IMAGE
"""

import sys

from image import HARDENED, Image, check_images, say

# As ONNX Runtime does it at its first session: the libraries of NVIDIA's wheels, then its own provider, which links to some of
# them.
LOAD_THE_PROVIDER = """
import ctypes, onnxruntime, re
from pathlib import Path
onnxruntime.preload_dlls()
capi = Path(onnxruntime.__file__).parent / "capi"
ctypes.CDLL(str(capi / "libonnxruntime_providers_shared.so"), ctypes.RTLD_GLOBAL)
try:
    ctypes.CDLL(str(capi / "libonnxruntime_providers_cuda.so"))
except OSError as error:
    print(error)
print(*sorted(set(re.findall(r"/nvidia/.*/lib([a-zA-Z]+)\\.so", Path("/proc/self/maps").read_text()))))
"""
LOADED = {"cublas", "cublasLt", "cudart", "cudnn", "cufft", "curand", "nvrtc"}
DRIVER_MISSING = "libcuda.so.1: cannot open shared object file: No such file or directory"


def main() -> None:
    image = Image(*sys.argv[1:])
    size = int(image.call("image", "inspect", "--format", "{{.Size}}", image.name)) / 1e6
    printed = image.call("run", "--rm", *HARDENED, image.name, "python", "-c", LOAD_THE_PROVIDER)
    missing, loaded = printed.splitlines()
    assert missing == DRIVER_MISSING, printed
    assert set(loaded.split()) >= LOADED, printed
    say(f"image for CUDA: {size:.0f} MB; its provider finds all its libraries but the driver's")

    refused = image.call("run", "--rm", *HARDENED, "--env", "SEEDMINT_PROVIDER=cuda", image.name, fails=True)
    assert refused.splitlines()[-1:] == ["Error: SEEDMINT_PROVIDER is 'cuda', but no CUDA device is visible to this process"], (
        refused
    )
    say("without a driver, SEEDMINT_PROVIDER=cuda is refused with one line")

    with image.started() as (_, client):
        assert client.get("/v1/models/mnist").status_code == 200
        check_images(client)
    say("and it serves on the processor otherwise")


if __name__ == "__main__":
    main()
