"""What a training step of the original costs: its network and losses under PyTorch, on data from memory.

<python with torch> benchmarks/original_step.py <folder of the original's repository> [steps=8] [slots=500]

The same network, batch and picture size as benchmarks/train_step.py, which starts this script beside its own rows. No
loader runs, which favours the original. Prints one line of JSON. What its files import but this does not need (DCNv2's
extension, torchvision, fvcore) is replaced by empty modules.
"""

import json
import resource
import statistics
import sys
import time
import types
from pathlib import Path

import torch

BATCH, HEIGHT, WIDTH, DOWN_RATIO, OBJECTS, IDENTITIES, REID_DIM = 4, 256, 448, 4, 12, 500, 128


def load(repository: Path) -> tuple[torch.nn.Module, types.ModuleType, types.ModuleType]:
    """The original's network with the plain neck and random weights, its losses, and its helpers."""
    for name, attribute in (
        ("torchvision", None), ("fvcore", None), ("fvcore.nn", "sigmoid_focal_loss_jit"), ("dcn_v2", "DCN"),
    ):  # fmt: skip
        module = types.ModuleType(name)
        if attribute:
            setattr(module, attribute, None)
        sys.modules[name] = module
    sys.path.insert(0, str(repository / "src" / "lib"))
    from models import losses, utils  # noqa: PLC0415
    from models.networks import pose_dla_conv  # noqa: PLC0415

    pose_dla_conv.DLA.load_pretrained_model = lambda *_, **__: None
    heads = {"hm": 1, "wh": 4, "id": REID_DIM, "reg": 2}
    return pose_dla_conv.get_pose_net(34, heads, 256, DOWN_RATIO), losses, utils


def make_batch(slots: int) -> dict[str, torch.Tensor]:
    height, width = HEIGHT // DOWN_RATIO, WIDTH // DOWN_RATIO
    hm = torch.zeros(BATCH, 1, height, width)
    hm[:, :, 10, 10] = 1
    mask = torch.zeros(BATCH, slots, dtype=torch.uint8)
    mask[:, :OBJECTS] = 1
    return {
        "image": torch.rand(BATCH, 3, HEIGHT, WIDTH),
        "hm": hm,
        "mask": mask,
        "ind": torch.randint(0, height * width, (BATCH, slots)),
        "wh": torch.rand(BATCH, slots, 4),
        "reg": torch.rand(BATCH, slots, 2),
        "ids": torch.randint(0, IDENTITIES, (BATCH, slots)),
    }


def main() -> None:
    options = dict(word.split("=", 1) for word in sys.argv[2:])
    torch.set_num_threads(int(options.get("threads", 2)))
    network, losses, utils = load(Path(sys.argv[1]))
    classifier = torch.nn.Linear(REID_DIM, IDENTITIES)
    balance = [torch.nn.Parameter(torch.tensor([value])) for value in (-1.85, -1.05)]
    optimizer = torch.optim.Adam([*network.parameters(), *classifier.parameters(), *balance], 1e-4)
    focal, distance, cross_entropy = losses.FocalLoss(), losses.RegL1Loss(), torch.nn.CrossEntropyLoss()
    batch = make_batch(int(options.get("slots", 500)))
    objects = batch["mask"] > 0
    network.train()
    seconds, worked = [], []
    for _ in range(int(options.get("steps", 8))):
        began, began_work = time.perf_counter(), time.process_time()
        maps = network(batch["image"])[-1]
        detection = focal(utils._sigmoid(maps["hm"]), batch["hm"])
        detection = detection + 0.1 * distance(maps["wh"], batch["mask"], batch["ind"], batch["wh"])
        detection = detection + distance(maps["reg"], batch["mask"], batch["ind"], batch["reg"])
        embeddings = utils._tranpose_and_gather_feat(maps["id"], batch["ind"])[objects]
        identity = cross_entropy(classifier(9 * torch.nn.functional.normalize(embeddings)), batch["ids"][objects])
        terms = torch.exp(-balance[0]) * detection + torch.exp(-balance[1]) * identity + balance[0] + balance[1]
        optimizer.zero_grad()
        (0.5 * terms).sum().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
        worked.append(time.process_time() - began_work)
    step_s, processor_s = statistics.median(seconds[2:]), statistics.median(worked[2:])
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    result = {"step_s": step_s, "images_per_s": BATCH / step_s, "processor_s": processor_s, "peak_memory_gb": peak_gb}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
