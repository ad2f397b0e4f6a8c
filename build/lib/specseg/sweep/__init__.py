"""An experiment is a list of cells; each is done once, by this process, by local processes or by Slurm jobs.

An experiment's file ends `EXPERIMENT = sweep.Experiment(...)` and `if __name__ == "__main__": sweep.main(EXPERIMENT)`.
"""

from specseg.sweep.cells import Context, Experiment, cell_id
from specseg.sweep.command import main
from specseg.sweep.work import device, precision

__all__ = ["Context", "Experiment", "cell_id", "device", "main", "precision"]
