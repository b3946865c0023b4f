"""What makes ``twistd chatroom`` known."""

from twisted.application.service import ServiceMaker

chatroom = ServiceMaker("chatroom", "chatroom.tap", "A chat room over WebSocket.", "chatroom")
