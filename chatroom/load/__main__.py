"""The same as ``chatroom-load``: ``python -m chatroom.load``."""

from chatroom.load import main

main()
