"""Which method, with which of its parts, and trained how? No paper asks.

The grid: ProtoNet, OTAM, TRX, Bi-MHM, HyRSM, STRM, VIM and SGTM in their papers' settings under
one recipe, tested 1-shot and 5-shot. A search draws the method, its main switches and weights, the
rate, the weight decay and the schedule, and starts from the grid's rows. VIM is in it where the
crop leaves maps of 4x4 cells (--preset laptop64); I2ST, which trains with masks, is not.

8 trainings a seed (7 without VIM), one pretrained backbone, one class-score network: about 4
minutes for two seeds without VIM on two CPU cores with MotionShapes; VIM's tests add hours.

Expect methods to differ by ten points and more on MotionShapes, their switches by seeds' noise; a
search of twenty points tells which methods are worth one of their own. It weighs accuracy against
GFLOPs. One of 40 points with 80 cheap ones before them takes half an hour on those two cores.

  python sweeps/joint.py                                 the methods side by side
  python sweeps/joint.py --search 40 --cheap-first 80    80 points with a frozen backbone first
"""

from search_spaces.spaces import joint
from sweeps.engine.cli import sweep_script

if __name__ == "__main__":
    sweep_script(joint.SPACES, __doc__)()
