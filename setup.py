"""What setup.cfg has no words for: a module in C, without which everything works all the same."""

from setuptools import Extension, setup

setup(ext_modules=[Extension("chatroom._fast", ["chatroom/_fast.c"], optional=True)])
