"""Trainings that are looked at in a browser use the backbone of one convolution, as the integration tests do."""

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).resolve().parents[1] / "integration" / "conftest.py"
_spec = importlib.util.spec_from_file_location("integration_conftest", _PATH)
_module = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _module  # MindSpore reads the network's source through its module
_spec.loader.exec_module(_module)

one_convolution = _module.one_convolution
