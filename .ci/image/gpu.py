"""Checks of the CUDA image that need no GPU.

python .ci/image/gpu.py docker|podman IMAGE
"""

import sys

from image import HARDENED, Image, check_images, say

# Loads libraries in the order of the first session of ONNX Runtime: the libraries of the NVIDIA wheels, then the CUDA provider,
# which links to some of them.
LOAD_PROVIDER = """
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
PROVIDER_ERROR = "Error: SEEDMINT_PROVIDER: "
DRIVER_MISSING = "libcuda.so.1: cannot open shared object file: No such file or directory"


def main() -> None:
    image = Image(*sys.argv[1:])
    size = int(image.call("image", "inspect", "--format", "{{.Size}}", image.name)) / 1e6
    printed = image.call("run", "--rm", *HARDENED, image.name, "python", "-c", LOAD_PROVIDER)
    missing, loaded = printed.splitlines()
    assert missing == DRIVER_MISSING, printed
    assert set(loaded.split()) >= LOADED, printed
    say(f"image for CUDA: {size:.0f} MB; the CUDA provider finds all libraries except the driver")

    errors = image.call("run", "--rm", *HARDENED, "--env", "SEEDMINT_PROVIDER=cuda", image.name, fails=True)
    assert errors.splitlines()[-1].startswith(PROVIDER_ERROR), errors
    say("without a driver, SEEDMINT_PROVIDER=cuda is an error of one line")

    with image.started() as (_, client):
        assert client.get("/v1/models/mnist").status_code == 200
        check_images(client)
    say("without SEEDMINT_PROVIDER=cuda, the service uses the CPU")


if __name__ == "__main__":
    main()
