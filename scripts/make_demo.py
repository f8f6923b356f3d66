"""Trains the network of `python -m fairmot.demo` and writes fairmot/demo/drawn_people.safetensors.

    python scripts/make_demo.py runs/demo      # 480 steps of the quickstart, on twice as many drawn people

The checkpoint after step 240 is taken: of the run's checkpoints that were tried it alone followed the demo's street
without an identity switch (docs/experiments.md). A run that is already in the folder is continued; one that is done is
written again.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairmot.demo import CHECKPOINT
from fairmot.files import write_atomic
from fairmot.weights.checkpoint import checkpoint_name, read_checkpoint
from fairmot.weights.weights_file import weights_file

TRAINING = [
    "experiment=quickstart",
    "data.synthetic.train_sequences=16",
    "data.synthetic.val_sequences=3",
    "epochs=4",
    "keep_checkpoints=8",
    "mlflow.enabled=false",
]
STEP = 240
SAID = ("model", "num_classes", "input_size", "progress")


def main() -> None:
    """Train into the folder of the command line, then halve the weights' precision and write them."""
    run_dir = Path(sys.argv[1])
    subprocess.run([sys.executable, "-m", "train", *TRAINING, f"run_dir={run_dir}"], check=True)
    checkpoint = read_checkpoint(run_dir / "checkpoints" / checkpoint_name(STEP))
    halves = {name: array.astype(np.float16) for name, array in checkpoint.network_to_use().items()}
    if lost := [name for name, array in halves.items() if not np.isfinite(array).all()]:
        sys.exit(f"error: half precision cannot hold {', '.join(lost)}")
    write_atomic(CHECKPOINT, weights_file(halves, {key: checkpoint.manifest[key] for key in SAID}))
    print(f"wrote {CHECKPOINT}: {CHECKPOINT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
