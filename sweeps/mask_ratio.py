"""How many frames should SGTM mask, and which? SGTM, figure 4 and table 3, as a sweep.

Grid: 0, 25, 50, 75 % of the frames, at random or guided by saliency, beside the encoder alone and
the plain baseline; each row is trained 1-shot under every seed and tested 1-shot and 5-shot on
10,000 episodes. 9 trainings a seed, one class-score network and one pretrained backbone for all of
them: about 5 minutes on two CPU cores with MotionShapes. On Kinetics-100 the paper has 74.4
(1-shot) without masks and 75.2 with 50 % guided by saliency; expect differences inside
the interval.

  python sweeps/mask_ratio.py                     the table
  python sweeps/mask_ratio.py --search 20         Optuna over ratio, region and lambda, on val
  ray submit cluster/loopback.yaml sweeps/mask_ratio.py -- --site loopback
"""

from search_spaces.spaces import mask_ratio
from sweeps.engine.cli import sweep_script

if __name__ == "__main__":
    sweep_script(mask_ratio.SPACES, __doc__)()
