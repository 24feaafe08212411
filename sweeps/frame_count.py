"""How many frames should a clip have? VIM, tables 7 and 6; I2ST, figure 4.

--method otam (the default), sgtm, trx, strm, hyrsm or i2st: 2, 4, 6, 8 and 10 frames, as I2ST's
curve has them. vim: T from 4 to 14, and M, the frames scanned, from 14 to 32 (--preset laptop64).
Rows have equal steps and episodes; SGTM trains a class-score network for each number of frames.

Trainings a seed: 5 (sgtm and trx 4, vim 12), one pretrained backbone for all numbers of frames.
Two seeds on two CPU cores with MotionShapes: OTAM a few minutes; VIM hours, nearly all in its
tests, whose frames depend on the supports of each of 10,000 episodes. A search tests nothing but
val until its finals. --dry-run says the time on your machine.

VIM prints a rise from 37.8 (T=4) to 41.2 (T=12) on SSv2-Small and a fall beyond M=20. A search
goes up to 16 frames and weighs accuracy against GFLOPs, which grow with T.

  python sweeps/frame_count.py                           OTAM
  python sweeps/frame_count.py --method vim --preset laptop64 --search 20
"""

from search_spaces.spaces import frame_count
from sweeps.engine.cli import sweep_script

if __name__ == "__main__":
    sweep_script(frame_count.SPACES, __doc__)()
