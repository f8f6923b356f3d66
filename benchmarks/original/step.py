"""What a training step or a picture costs the original: its network, losses and decoder under PyTorch.

    <python with torch> benchmarks/original/step.py original=<its repository> [what=step|inference] [steps=8] [batch=4]
                                                    [size=256x448] [slots=500] [threads=2]
                                                    [layout=plain|channels_last] [precision=fp32|bf16]

On data from memory: no loader and no video reader runs, which favours the original. `inference` is the network, its
decoder and the embeddings of the best `slots` peaks, as its tracker takes them. Channels last and bf16 (autocast) are
not what the original does. The benchmarks of this folder start it beside their own rows; it prints one line of JSON,
the times from the third run on. What the original's files import but this does not need (DCNv2's extension,
torchvision, fvcore) is replaced by empty modules.
"""

import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import torch

DOWN_RATIO, OBJECTS, IDENTITIES, REID_DIM = 4, 12, 500, 128


def load(repository: Path) -> torch.nn.Module:
    """The original's network with the plain neck and random weights."""
    for name, attribute in (
        ("torchvision", None), ("fvcore", None), ("fvcore.nn", "sigmoid_focal_loss_jit"), ("dcn_v2", "DCN"),
    ):  # fmt: skip
        module = types.ModuleType(name)
        if attribute:
            setattr(module, attribute, None)
        sys.modules[name] = module
    sys.path.insert(0, str(repository / "src" / "lib"))
    from models.networks import pose_dla_conv  # noqa: PLC0415

    pose_dla_conv.DLA.load_pretrained_model = lambda *_, **__: None
    heads = {"hm": 1, "wh": 4, "id": REID_DIM, "reg": 2}
    return pose_dla_conv.get_pose_net(34, heads, 256, DOWN_RATIO)


def make_batch(batch: int, input_height: int, input_width: int, slots: int) -> dict[str, torch.Tensor]:
    height, width = input_height // DOWN_RATIO, input_width // DOWN_RATIO
    hm = torch.zeros(batch, 1, height, width)
    hm[:, :, 10, 10] = 1
    mask = torch.zeros(batch, slots, dtype=torch.uint8)
    mask[:, :OBJECTS] = 1
    return {
        "image": torch.rand(batch, 3, input_height, input_width),
        "hm": hm,
        "mask": mask,
        "ind": torch.randint(0, height * width, (batch, slots)),
        "wh": torch.rand(batch, slots, 4),
        "reg": torch.rand(batch, slots, 2),
        "ids": torch.randint(0, IDENTITIES, (batch, slots)),
    }


def training_step(network: torch.nn.Module, batch: dict[str, torch.Tensor], bf16: bool) -> Callable[[], None]:
    from models import losses, utils  # noqa: PLC0415

    classifier = torch.nn.Linear(REID_DIM, IDENTITIES)
    balance = [torch.nn.Parameter(torch.tensor([value])) for value in (-1.85, -1.05)]
    optimizer = torch.optim.Adam([*network.parameters(), *classifier.parameters(), *balance], 1e-4)
    focal, distance, cross_entropy = losses.FocalLoss(), losses.RegL1Loss(), torch.nn.CrossEntropyLoss()
    objects = batch["mask"] > 0
    network.train()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            maps = network(batch["image"])[-1]
        maps = {name: head.float() for name, head in maps.items()}
        detection = focal(utils._sigmoid(maps["hm"]), batch["hm"])
        detection = detection + 0.1 * distance(maps["wh"], batch["mask"], batch["ind"], batch["wh"])
        detection = detection + distance(maps["reg"], batch["mask"], batch["ind"], batch["reg"])
        embeddings = utils._tranpose_and_gather_feat(maps["id"], batch["ind"])[objects]
        identity = cross_entropy(classifier(9 * torch.nn.functional.normalize(embeddings)), batch["ids"][objects])
        terms = torch.exp(-balance[0]) * detection + torch.exp(-balance[1]) * identity + balance[0] + balance[1]
        optimizer.zero_grad()
        (0.5 * terms).sum().backward()
        optimizer.step()

    return step


def inference(network: torch.nn.Module, image: torch.Tensor, slots: int) -> Callable[[], None]:
    from models import decode, utils  # noqa: PLC0415

    network.eval()

    def detect() -> None:
        with torch.no_grad():
            maps = network(image)[-1]
            embeddings = torch.nn.functional.normalize(maps["id"], dim=1)
            found, places = decode.mot_decode(maps["hm"].sigmoid_(), maps["wh"], maps["reg"], ltrb=True, K=slots)
            found.numpy(), utils._tranpose_and_gather_feat(embeddings, places).numpy()

    return detect


def main() -> None:
    defaults = {"what": "step", "steps": "8", "batch": "4", "size": "256x448", "slots": "500", "threads": "2"}
    defaults |= {"layout": "plain", "precision": "fp32"}
    options = defaults | dict(word.split("=", 1) for word in sys.argv[1:])
    torch.set_num_threads(int(options["threads"]))
    network = load(Path(options["original"]))
    height, width = map(int, options["size"].split("x"))
    slots = min(int(options["slots"]), height // DOWN_RATIO * (width // DOWN_RATIO))
    batch = make_batch(int(options["batch"]), height, width, slots)
    if options["layout"] == "channels_last":
        network = network.to(memory_format=torch.channels_last)
        batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last)
    if options["what"] == "inference":
        work = inference(network, batch["image"], slots)
    else:
        work = training_step(network, batch, options["precision"] == "bf16")
    seconds, worked = [], []
    for _ in range(int(options["steps"])):
        began, began_work = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - began)
        worked.append(time.process_time() - began_work)
    print(json.dumps({"steps_s": seconds[2:], "worked_s": worked[2:]}))


if __name__ == "__main__":
    main()
