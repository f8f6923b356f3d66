"""Python reads this at its start where this folder is on PYTHONPATH: commands of tests know the smallest network.

`import fairmot.model.network` is followed by an import of `one_convolution`, which enters it. The import is not made at
once, as a launcher or a refused command never imports MindSpore.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder

NETWORKS = "fairmot.model.network"


class EnterNetwork(MetaPathFinder):
    """Finds only NETWORKS, and only once."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname != NETWORKS:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        run = spec.loader.exec_module

        def run_and_enter(module: object) -> None:
            run(module)
            import one_convolution

            module.BACKBONES["one_convolution"] = lambda config: one_convolution.OneConvolution()

        spec.loader.exec_module = run_and_enter
        return spec


sys.meta_path.insert(0, EnterNetwork())
