"""Tuples of how many frames should TRX and STRM compare? STRM, table 2 and figure 6 (right).

--method trx (the default) or strm: the eight sets of table 2 and four shares of the tuples, each
tested 1-shot and 5-shot. The paper trains STRM 5-shot; here a row has the recipe's shots.

12 trainings a seed, one pretrained backbone: about 6 minutes for two seeds on two CPU cores with
MotionShapes.

The paper prints 66.4 ({4}) to 68.1 ({2} and {2,3,4}) on SSv2-Full and 85.3 to 86.5 on
Kinetics-100: sets cost from 8 to 154 tuples and differ by a point or two. A search weighs accuracy
against GFLOPs, unless --cost says otherwise.

  python sweeps/cardinality.py --method strm             table 2 on your data
  python sweeps/cardinality.py --search 20               any subset of {1,2,3,4}, 20 to 100 % of it
"""

from search_spaces.spaces import cardinality
from sweeps.engine.cli import sweep_script

if __name__ == "__main__":
    sweep_script(cardinality.SPACES, __doc__)()
