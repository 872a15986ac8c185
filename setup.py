"""Packages of the wheel: those of `screening`, and the folder `configs` as `screening/configs`."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["screening*"]), "screening.configs"],
    package_dir={"screening.configs": "configs"},
)
