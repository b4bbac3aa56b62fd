"""One thread for torch: more would spin against each other where tests run side by side."""

import os

import torch

os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)
