"""How much should the auxiliary losses weigh? SGTM, table 5; VIM, table 16; STRM and I2ST beside.

--method sgtm (the default): lambda over table 5's six values. vim: table 16's five pairs of
weights. strm and i2st: seven and six rows of ours around the setting of papers that vary nothing.
I2ST's rows need instance masks, VIM's maps of 4x4 cells (--preset laptop64).

Trainings a seed: sgtm 6, strm 7, i2st 6, vim 5, beside one pretrained backbone (SGTM: a
class-score network too). Two seeds on two CPU cores with MotionShapes: SGTM about 4 minutes; VIM
hours, nearly all in its tests, whose frames depend on the supports of each of 10,000 episodes.
A search tests nothing but val until its finals. --dry-run says the time on your machine.

SGTM prints 75.05 to 75.18 for lambda 0 to 0.5 and 74.8 above, 1-shot on Kinetics-100: six rows
within the interval of one. VIM prints 39.0 to 40.8 on SSv2-Small. Expect few rows to differ.

  python sweeps/loss_weights.py                          SGTM's table 5
  python sweeps/loss_weights.py --method vim --preset laptop64 --search 20
                                        both weights of VIM and the sign that its paper leaves open
"""

from search_spaces.spaces import loss_weights
from sweeps.engine.cli import sweep_script

if __name__ == "__main__":
    sweep_script(loss_weights.SPACES, __doc__)()
