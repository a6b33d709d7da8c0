"""Builds what pyproject.toml cannot say: the cffi module and, beside it, the static programs."""

import os
import runpy

from setuptools import setup
from setuptools.command.build_ext import build_ext

static = runpy.run_path("csrc/build_static.py")


class BuildNative(build_ext):
    """build_ext, and the static programs into pyrt/_native/bin (in the source tree for an in-place build)."""

    def run(self):
        super().run()
        for path in self.programs():
            static["compile_static"](os.path.basename(path), os.path.dirname(path), static["default_compiler"]())

    def get_outputs(self):
        return super().get_outputs() + self.programs()

    def programs(self):
        root = "" if self.inplace else self.build_lib
        return [os.path.join(root, "pyrt", "_native", "bin", program) for program in static["PROGRAMS"]]


setup(cffi_modules=["csrc/build_core.py:ffibuilder"], cmdclass={"build_ext": BuildNative})
