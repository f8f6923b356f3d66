"""The Ascend dry run: what a real start would compile, compiled and counted without an NPU."""
