"""The checks, each a function of the job, in the order in which they run."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fairmot.data.identities import IdentityTable
from fairmot.data.packed import open_index
from fairmot.data.sampler import rank_indices
from fairmot.data.synthetic.generate import generate
from fairmot.device import Device
from fairmot.errors import DataError
from fairmot.weights.checkpoint import whole_checkpoints
from train.build import build_dataset, build_state, find_sequences
from train.cluster.job import DEFAULT_PORT, RANK_TABLE_WARNING, Starter, choose_starter, named_port, read_allocation
from train.cluster.rank_table import SERVER_VARIABLE, find_server, read_rank_table
from train.packing import num_bytes
from train.preflight import host
from train.preflight.context import Context
from train.preflight.finding import Finding, failed, passed, skipped, warned
from train.preflight.storage import (
    LOCAL_FILE_SYSTEMS,
    NotAtomicError,
    file_system,
    made_for_a_while,
    nearest_existing,
    write_speed,
)
from train.run_dir import named_run_dir
from train.shared_storage import lock_run_dir
from train.start import choose_start

_IMAGES_TRIED = 8
_NEEDS_INDEX = "needs the label index"
_NEEDS_TABLE = "needs the rank table"


def _check_table(job: Context) -> Finding:
    if job.table_path is None:
        job.ranks = job.ranks or 1
        job.allocation = read_allocation(job.ranks)
        if job.allocation is not None:
            names, here = job.allocation.names, job.allocation.node_rank
            place = f"{names[here]} ({here} of {len(names)}, from 0)"
            return passed(f"none needed: this is {place}, {job.allocation.ranks_each} ranks each")
        return skipped(f"none given: {job.ranks} rank(s) on this host")
    table = read_rank_table(job.table_path, job.ranks or None)
    job.table, job.ranks = table, table.num_ranks
    job.server = find_server(table, os.environ.get(SERVER_VARIABLE))
    return passed(
        f"{job.table_path}: {table.num_ranks} devices on {job.hosts} host(s), this one is {job.server.server_id}"
    )


def _check_configuration(job: Context) -> Finding:
    config = job.config
    if not job.ranks:
        return skipped(_NEEDS_TABLE)
    named_run_dir(config, job.hosts, "hosts")  # refuses hosts that share none
    samples = config.batch_size_per_rank * job.ranks * config.optim.accumulation
    detail = f"{config.name}: device={_device(job)}, {job.ranks} rank(s), {samples} samples a step"
    if config.weights is not None and config.resume_from is not None:
        return warned(f"{detail}; resume_from= wins over weights=", "give one of the two")
    if _starter(job) is Starter.rank_table:
        return warned(detail, RANK_TABLE_WARNING)
    return passed(detail)


def _device(job: Context) -> str:
    """Where the ranks would run, and why, if that is left to the program."""
    device, reason = job.device
    return f"{device.value} (auto: {reason})" if job.config.device is Device.auto else device.value


def _check_cann(job: Context) -> Finding:
    return host.check_cann() if job.wants_npus else skipped(f"device={_device(job)}")


def _check_npus(job: Context) -> Finding:
    if not job.wants_npus:
        return skipped(f"device={_device(job)}")
    if job.table_path is None:
        return host.check_npus(list(range(job.ranks_here)), {})
    if job.server is None:
        return skipped(_NEEDS_TABLE)
    devices = job.server.devices
    addresses = {device.device_id: device.device_ip for device in devices if device.device_ip is not None}
    return host.check_npus([device.device_id for device in devices], addresses)


def _starter(job: Context) -> Starter:
    wanted = os.environ.get("LAUNCHER", "")
    return choose_starter(wanted, job.device.device.value, job.ranks, has_table=job.table is not None)


def _check_port(job: Context) -> Finding:
    """Msrun's scheduler listens on MASTER_PORT of the first host, its launcher on the next one for the others."""
    if job.ranks <= 1:
        return skipped("one rank needs no scheduler")
    if job.table is None and job.table_path is not None:
        return skipped(_NEEDS_TABLE)
    port = job.allocation.scheduler[1] if job.allocation else named_port()
    if port is None and job.hosts == 1:
        return skipped("on one host a free port is chosen at the start")
    port = port or DEFAULT_PORT
    if job.table is not None and job.server is not job.table.servers[0]:
        return skipped(f"{job.table.servers[0].server_id} is the host that listens")
    if job.allocation is not None and job.allocation.node_rank:
        return skipped(f"{job.allocation.names[0]} is the one that listens")
    starter = _starter(job)
    ports = [port] * (starter is Starter.msrun) + [port + 1] * (job.hosts > 1)
    return host.check_ports(ports) if ports else skipped("the rank-table start has no scheduler")


def _check_storage(job: Context) -> Finding:
    folder = job.run_dir
    try:
        is_old = folder.is_dir()
        with made_for_a_while(folder):
            if is_old:
                lock_run_dir(folder).close()
            speed, kind = write_speed(folder), file_system(folder)
    except NotAtomicError as error:
        return failed(f"{folder}: {error}", "choose a run_dir= on a file system whose renames are atomic")
    except OSError as error:
        return failed(
            f"{folder} cannot be written: {error}", "choose another run_dir=, or mend its rights or its space"
        )
    detail = f"{folder} ({kind}): names appear whole, {speed:.0f} MB/s with fsync"
    if job.hosts > 1 and kind in LOCAL_FILE_SYSTEMS:
        return warned(
            f"{detail}; {kind} is usually this host's own", "all hosts must see one run_dir=, such as over NFS"
        )
    return passed(detail)


def _check_labels(job: Context) -> Finding:
    data = job.config.data
    if data.synthetic is not None:
        generate(data.root, data.synthetic)
    job.index = open_index(
        data.packed,
        data.root,
        data.train,
        data.cache_dir,
        progress=sys.stderr.isatty(),
        pack_cache=data.pack_cache,
    )
    summary = job.index.summary()
    images, boxes = (sum(int(row[key]) for row in summary) for key in ("images", "boxes"))
    names = ", ".join(str(row["name"]) for row in summary)
    return passed(
        f"{images} images, {boxes} boxes, nID {job.index.identities.num_identities} in {names}; "
        f"digest {job.index.digest[:12]}"
    )


def _check_batches(job: Context) -> Finding:
    if job.index is None:
        return skipped(_NEEDS_INDEX)
    if not job.ranks:
        return skipped(_NEEDS_TABLE)
    config = job.config
    batch, accumulation = config.batch_size_per_rank, config.optim.accumulation
    try:
        taken = rank_indices(len(job.index), config.seed, 0, rank=0, world_size=job.ranks, batch_size=batch)
    except ValueError as error:
        return failed(str(error))
    steps = len(taken) // batch // accumulation
    if steps == 0:
        return failed(f"optim.accumulation={accumulation}: an epoch has only {len(taken) // batch} batches a rank")
    left = len(job.index) - steps * batch * accumulation * job.ranks
    return passed(f"{steps} steps an epoch, {left} images left over each time")


def _check_images(job: Context) -> Finding:
    if job.index is None:
        return skipped(_NEEDS_INDEX)
    dataset = build_dataset(job.config, job.index)
    chosen = np.random.default_rng().choice(len(dataset), min(_IMAGES_TRIED, len(dataset)), replace=False)
    faults = []
    for i in chosen.tolist():
        try:
            dataset[i]
        except DataError as error:
            faults.append(str(error))
    if faults:
        return failed("\n".join(faults), "copy these images again; only a few were tried")
    return passed(f"{len(chosen)} drawn at random were read and augmented")


def _check_validation(job: Context) -> Finding:
    if not job.config.validate_every_epochs:
        return skipped("validate_every_epochs=0")
    sequences = find_sequences(job.config)
    frames = sum(each.frame_count - each.skip_frames for each in sequences)
    return passed(f"{len(sequences)} sequences, {frames} frames")


def _check_start(job: Context) -> Finding:
    weights_alone = job.config.weights is not None and job.config.resume_from is None and not _own_checkpoints(job)
    if job.index is None and not weights_alone:
        return skipped(_NEEDS_INDEX)
    state = build_state(job.config, job.index.identities if job.index else IdentityTable([], []))
    if job.index is None:
        return passed(f"{job.config.model.name}; {choose_start(job.config, job.run_dir, state)}")
    job.checkpoint_bytes = sum(num_bytes(state.parameters(group).values()) for group in state.groups)
    trained = sum(parameter.size for parameter in state.optimizer.weights)
    start = choose_start(job.config, job.run_dir, state)
    return passed(f"{job.config.model.name}, {trained / 1e6:.2f} M trained parameters with the classifier; {start}")


def _own_checkpoints(job: Context) -> list[Path]:
    return whole_checkpoints(job.run_dir / "checkpoints")


def _check_space(job: Context) -> Finding:
    if job.checkpoint_bytes is None:
        return skipped("needs the network, to know a checkpoint's size")
    keep = job.config.keep_checkpoints
    still = max(
        keep + 2 - len(_own_checkpoints(job)), 2
    )  # the best one and the one being written come on top of those that are kept
    needed_mb, free_mb = still * job.checkpoint_bytes / 1e6, shutil.disk_usage(nearest_existing(job.run_dir)).free / 1e6
    detail = (
        f"{free_mb:.0f} MB free, {still} checkpoints of {job.checkpoint_bytes / 1e6:.0f} MB need {needed_mb:.0f} MB"
    )
    if free_mb < needed_mb:
        return failed(detail, "make room, lower keep_checkpoints= or choose another run_dir=")
    return passed(detail)


CHECKS: dict[str, Callable[[Context], Finding]] = {
    "rank table": _check_table,
    "configuration": _check_configuration,
    "versions": lambda job: host.check_versions(),
    "CANN, driver": _check_cann,
    "NPUs": _check_npus,
    "host": lambda job: host.check_cores_and_memory(job.ranks_here, job.config.data.workers),
    "ports": _check_port,
    "storage": _check_storage,
    "labels": _check_labels,
    "batches": _check_batches,
    "images": _check_images,
    "validation": _check_validation,
    "start": _check_start,
    "free space": _check_space,
    "MLflow": lambda job: host.check_mlflow(job.config.mlflow),
}
"""In the order in which they run; later ones use what earlier ones learnt."""
