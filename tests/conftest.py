"""What holds in every test process.

One thread: several processes share the cores, and sums do not depend on how many there are. Ctrl-C is heard: a runner
that was started in the background ignores it, and so would every program that a test starts and stops by it. A node of
a cluster has a site of its own, which tests do not mean.
"""

import os
import signal

import torch

torch.set_num_threads(1)
os.environ.pop("FSAR_SITE", None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
