"""Names of weights: the original's, this project's and those of older MindSpore ports, and what fits where.

Everything is compared under the original's names (its state_dict without "module."); only batch normalisation is named
otherwise here. The loss travels as `loss.classifier.weight` and so on. Shapes only: this module touches no values.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product

from fairmot.weights.checkpoint import shortened

Shapes = Mapping[str, tuple[int, ...]]

LOSS_NAMES = ("classifier.weight", "classifier.bias", "s_det", "s_id")
LOSS = "loss."

_TO_ORIGINAL = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}

COUNTER = "num_batches_tracked"
OFFSETS = ".conv_offset_mask."
"""What only a deformable convolution has: the convolution that gives its offsets and masks."""
NEVER_USED = {
    f"*.{COUNTER}": "PyTorch's counter of batches, of no effect",
    "base.fc.*": "ImageNet classifier of the encoder, of no use here",
}
"""What published files hold beside the network -> why it is left out without asking."""

_ADDED_BEFORE = ("module.", "model.", "module.model.")
"""Put before all names by DataParallel and by the original's cell of network and loss."""

_ENCODER_ALONE = ("base.", "backbone.")
"""Missing from the names of an encoder that was trained alone (DLA, YOLOv5s)."""

_SIMILAR = 0.75
_PATTERNS_SHOWN = 12

_OPTIMIZER_STATE = re.compile(r"^(moments?[12]?|accum)\.|(^|\.)(beta[12]_power|learning_rate|global_step|current_.*)$")

_PORT_RULES = [
    # Cells around the network, then the heads' own cells.
    (r"^(?:.*\.)?(?=(?:base|dla_up|ida_up|(?:hm|wh|id|reg)_fc|classifier)\.|s_det$|s_id$)", ""),
    (r"^(hm|wh|id|reg)_fc\.(?:fc\.)?", r"\1."),
    (r"\.ida_nfs\.", ".ida_"),
    (r"^(base\.level[01])\.0\.", r"\1."),
    (r"\.conv_bn_act\.conv\.", ".conv1."),
    (r"\.conv_bn_act\.batchnorm\.", ".bn1."),
    (r"\.conv_bn\.conv\.", ".conv2."),
    (r"\.conv_bn\.batchnorm\.", ".bn2."),
    (r"^(base\.(?:base_layer|level[01]|.*\.project))\.conv\.", r"\1.0."),
    (r"^(base\.(?:base_layer|level[01]|.*\.project))\.batchnorm\.", r"\1.1."),
]
"""Names of the ports in mindspore-ai/models (research/cv/fairmot) and ZJUT-ERCISS/fairmot_mindspore, in this order."""


def original_name(name: str) -> str:
    """base.level0.1.gamma -> base.level0.1.weight; other names stay."""
    owner, dot, kind = name.rpartition(".")
    return f"{owner}{dot}{_TO_ORIGINAL.get(kind, kind)}"


def counters(names: Iterable[str]) -> list[str]:
    """The counters of batches that PyTorch keeps beside these weights."""
    return [f"{name.rpartition('.')[0]}.{COUNTER}" for name in names if name.endswith(".running_var")]


def port_names(names: Iterable[str]) -> dict[str, str]:
    """Parameters of an older MindSpore port -> the original's names; unknown names stay."""
    renamed = {name: _port_name(name) for name in names}
    losses = loss_names(renamed.values())
    return {own: losses.get(name, name) for own, name in renamed.items()}


def _port_name(name: str) -> str:
    for pattern, replacement in _PORT_RULES:
        name = re.sub(pattern, replacement, name)
    # The ports keep these in lists, which count from 0.
    name = re.sub(r"\b(proj|up|node)\.(\d+)\.", lambda found: f"{found[1]}_{int(found[2]) + 1}.", name)
    return original_name(name)


def is_optimizer_state(name: str) -> bool:
    """Whether a MindSpore training checkpoint's entry belongs to its optimiser."""
    return _OPTIMIZER_STATE.search(name) is not None


def loss_names(names: Iterable[str]) -> dict[str, str]:
    """Entries of a loss, such as classifier.weight or module.loss.s_det -> the same as loss.classifier.weight.

    Nothing without s_det: a classifier alone is ImageNet's.
    """
    bare = {name: name.removeprefix("module.").removeprefix(LOSS) for name in names}
    if "s_det" not in bare.values():
        return {}
    return {name: f"{LOSS}{entry}" for name, entry in bare.items() if entry in LOSS_NAMES}


def without_wrapping(names: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Names of a .pth file -> names as the original's network has them: the wrapping that fits best is undone.

    Args:
        names: as in the file.
        wanted: the network's entries under the original's names.
    """
    names, wanted = list(names), set(wanted)
    losses = loss_names(names)
    choices = [
        {name: losses.get(name, put + name.removeprefix(cut)) for name in names}
        for cut, put in product(("", *_ADDED_BEFORE), ("", *_ENCODER_ALONE))
    ]
    return max(choices, key=lambda choice: len(wanted & set(choice.values())))


def guess_network(shapes: Shapes) -> str | None:
    """The network of `ModelConfig.name` that names its weights like this; None when nothing tells.

    Args:
        shapes: a file's entries; whatever stands before the original's names does not matter.
    """

    def has(fragment: str) -> bool:
        return any(fragment in f".{name}" for name in shapes)

    if has(".stage4."):
        width = next((shape[0] for name, shape in shapes.items() if "stage4.0.branches.0.0.conv1.w" in name), 0)
        return f"hrnet_{width}"
    if has(".dla_up.") or has(".ida_up."):
        return "dla_34" if has(OFFSETS) else "dlaconv_34"
    if has(".level5.tree1."):
        return "dla_34"
    if has(".layer4."):
        layers = 50 if has(".layer1.0.conv3.") else 34 if has(".layer3.5.") else 18
        return f"{'resfpndcn' if has('.deconv_layer1.') else 'resdcn'}_{layers}"
    return "yolov5s" if has(".cv1.conv.") else None


def bias_holder(name: str) -> str | None:
    """The buffer that can take over a convolution's bias: the mean of the batch normalisation right behind it.

    The normalised (x + bias) - (mean + bias) is x - mean, in training as in evaluation, so nothing is lost.
    """
    owner, _, kind = name.rpartition(".")
    room, _, last = owner.rpartition(".")
    if kind != "bias" or not (last == "conv" or last.isdigit()):
        return None
    return f"{room}.actf.0.running_mean" if last == "conv" else f"{room}.{int(last) + 1}.running_mean"


@dataclass(frozen=True)
class Row:
    """What became of one entry.

    Attributes:
        name: the original's.
        shape: its sizes.
        taken: whether it goes into the output as it is.
        note: what happened to it otherwise.
    """

    name: str
    shape: tuple[int, ...]
    taken: bool = True
    note: str = ""


@dataclass
class Match:
    """A source's entries against a network's. Each of them is in one of these.

    Attributes:
        rows: what is accounted for.
        folded: biases that the network lacks -> the buffers that take them over; they have rows, too.
        missing: entries of the network that the source lacks.
        unexpected: entries of the source that the network lacks.
        other_shape: entries of both whose shapes differ -> the source's and the network's shape.
        deformable: entries of deformable convolutions, where the network has plain ones.
    """

    rows: list[Row] = field(default_factory=list)
    folded: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    other_shape: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    deformable: list[str] = field(default_factory=list)


def match(found: Shapes, wanted: Shapes, skip: Iterable[str], drop_deformable: bool) -> Match:
    """Account for every entry.

    Args:
        found: the source's entries under the original's names.
        wanted: the network's, and the loss's where the source has one.
        skip: patterns such as `hm.*` of entries, of the source or of the network, that take no part.
        drop_deformable: leave behind what only deformable convolutions have.
    """
    skip = tuple(skip)
    result = Match()
    plain = not any(OFFSETS in name for name in wanted)
    for name, shape in found.items():
        reason = _why_left_out(name, skip)
        holder = bias_holder(name)
        if reason is not None:
            result.rows.append(Row(name, shape, False, reason))
        elif name in wanted and shape == wanted[name]:
            result.rows.append(Row(name, shape))
        elif name in wanted:
            result.other_shape[name] = (shape, wanted[name])
        elif plain and OFFSETS in name:
            result.deformable.append(name)
            result.rows.append(Row(name, shape, False, "left out: of deformable convolutions"))
        elif holder and holder in found and wanted.get(holder) == shape and _why_left_out(holder, skip) is None:
            result.folded[name] = holder
            result.rows.append(Row(name, shape, False, f"subtracted from {holder}"))
        else:
            result.unexpected.append(name)
    for name, shape in wanted.items():
        if name not in found and _is_any(name, skip):
            result.rows.append(Row(name, shape, False, "left out by skip; not in the source either"))
        elif name not in found:
            result.missing.append(name)
    if drop_deformable:
        result.deformable.clear()
    return result


def _why_left_out(name: str, skip: Iterable[str]) -> str | None:
    if _is_any(name, skip):
        return "left out by skip"
    return next((f"left out: {why}" for pattern, why in NEVER_USED.items() if fnmatchcase(name, pattern)), None)


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def loss_shapes(found: Shapes, reid_dim: int) -> Shapes:
    """What the loss consists of, when a source has any of it; the number of identities is the source's."""
    if not any(name.startswith(LOSS) for name in found):
        return {}
    identities = next(iter(found.get(f"{LOSS}classifier.weight", ())), 0)
    shapes = ((identities, reid_dim), (identities,), (1,), (1,))
    return {f"{LOSS}{name}": shape for name, shape in zip(LOSS_NAMES, shapes, strict=True)}


def differences(matched: Match) -> list[str]:
    """What keeps a source from a network, in lines that name the entries; nothing when all are accounted for."""
    missing = [_with_nearest(name, matched.unexpected, "the source has") for name in matched.missing]
    unexpected = [_with_nearest(name, matched.missing, "the network has") for name in matched.unexpected]
    shapes = [f"{name} {list(here)}, wanted {list(there)}" for name, (here, there) in matched.other_shape.items()]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    lines = [f"{len(names)} {kind}: {shortened(names)}" for kind, names in kinds if names]
    taken = [row.name for row in matched.rows if row.taken]
    problems = [*matched.missing, *matched.unexpected, *matched.other_shape]
    patterns = skip_patterns(problems, taken)
    if 0 < len(problems) < len(taken) and len(patterns) <= _PATTERNS_SHOWN:
        lines.append(f"To leave all of these out: 'skip=[{','.join(patterns)}]'")
    return lines


def _with_nearest(name: str, candidates: list[str], whose: str) -> str:
    close = difflib.get_close_matches(name, candidates, n=1, cutoff=_SIMILAR)
    return f"{name} ({whose} {close[0]})" if close else name


def skip_patterns(problems: Iterable[str], fine: Iterable[str]) -> list[str]:
    """The shortest patterns that cover all of `problems` and none of `fine`."""
    fine = list(fine)
    patterns: dict[str, None] = {}
    for name in sorted(problems):
        parts = name.split(".")
        prefixes = (".".join(parts[:length]) + "." for length in range(1, len(parts)))
        prefix = next((one for one in prefixes if not any(other.startswith(one) for other in fine)), None)
        patterns[f"{prefix}*" if prefix else name] = None
    return list(patterns)
