"""Rank tables for tests: changed ones, and one of a host with given devices."""

import copy
import json

from train.cluster.rank_table import read_rank_table

REMOVED = object()


def write(path, document):
    path.write_text(json.dumps(document))
    return path


def changed_document(good, *steps):
    """`good` with the value behind the keys replaced; REMOVED removes it."""
    document = copy.deepcopy(good)
    *keys, last, value = steps
    node = document
    for key in keys:
        node = node[key]
    if value is REMOVED:
        del node[last]
    else:
        node[last] = value
    return document


def one_host(*device_ids):
    """The content of a table of one host with these devices, by ascending rank."""
    devices = [
        {"device_id": str(number), "device_ip": f"192.168.0.{number}", "rank_id": str(rank)}
        for rank, number in enumerate(device_ids)
    ]
    document = {"version": "1.0", "server_count": "1", "status": "completed"}
    document["server_list"] = [{"server_id": "127.0.0.1", "device": devices}]
    return document


def table_of(path, *device_ids):
    """The table `one_host`, written and read."""
    return read_rank_table(write(path, one_host(*device_ids)))
