"""One thread per test process: several processes share the cores, and sums do not depend on how many there are."""

import torch

torch.set_num_threads(1)
