"""What an installed library needs of the checkout: manifests of known data sets, and the records that advice cites."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py

CARRIED = ("data_manifests", "results/latency", "results/relation")


class Build(build_py):
    """Copy CARRIED into specseg/_data of what is built; an editable install reads the checkout itself."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for name in CARRIED:
                copytree(Path(__file__).parent / name, Path(self.build_lib, "specseg/_data", name), dirs_exist_ok=True)


setup(cmdclass={"build_py": Build})
