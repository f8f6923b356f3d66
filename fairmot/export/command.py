"""Export a trained network: python -m fairmot.export checkpoint=<run> output=model.onnx format=onnx."""

from pathlib import Path

from fairmot.device import Device, use_device
from fairmot.errors import ConfigError, DataError
from fairmot.export.config import ExportConfig, Format
from fairmot.export.write import describe, require_onnx, write_checked
from fairmot.inference.exported_file import description_path
from fairmot.inference.network import load_network
from fairmot.weights.named import say_which


def export(config: ExportConfig) -> None:
    """Write the graph, run it beside the checkpoint's own network, and only then give it its name.

    Raises:
        ConfigError: the output is there already, or a package is missing.
        CheckpointError: the checkpoint cannot be used.
        FairMOTError: an operator cannot be exported, or the file's outputs differ from the checkpoint's.
        DataError: the output cannot be written.
    """
    output = Path(config.output).expanduser()
    for path in (output, description_path(output)):
        if path.is_dir() or (path.exists() and not config.overwrite):
            raise ConfigError(f"output: {path} exists; choose another name or set overwrite=true")
    if config.format is Format.onnx:
        require_onnx("format=onnx")
    use_device(Device.cpu)
    checkpoint = Path(config.checkpoint)
    say_which(checkpoint)
    trained = load_network(checkpoint.expanduser())
    height, width = config.input_size or trained.input_size_hw
    description = describe(trained, output.suffix, (height, width), config.batch_size, config.max_objects)
    try:
        written = write_checked(output, trained, description)
    except OSError as error:
        raise DataError(f"{error.filename or output}: cannot be written ({error.strerror})") from error
    count = "any number of" if config.batch_size is None else config.batch_size
    print(
        f"{description.network}: {count} pictures of {height} x {width} at once, {description.max_objects} objects each"
    )
    print(written.checked)
    print(f"wrote {output} ({written.size_bytes / 1e6:.1f} MB) and {description_path(output).name}")
