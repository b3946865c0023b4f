var connection = new WebSocket('ws://example.com/echo');
