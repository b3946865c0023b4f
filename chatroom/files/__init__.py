"""Files beside the store: the folder that they are in (`Folder`), and the way there (`FilesDoor`)."""

from chatroom.files.door import FilesDoor
from chatroom.files.folder import Folder, FolderError

__all__ = ["FilesDoor", "Folder", "FolderError"]
