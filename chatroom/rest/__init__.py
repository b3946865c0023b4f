"""The rooms by plain requests: JSON over HTTP, and the OpenAPI document that describes it."""

from chatroom.rest.door import Door, doors

__all__ = ["Door", "doors"]
