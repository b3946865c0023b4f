var Socket = new WebSocket(url, [protocol] );
