 socket.on('connect', function(event) {
   //建立连接
  });

 socket.on('disconnect', function(event) {
 //客户端断开连接
 });
 socket.on('clientMsg', function(data) {
 //客户端收到服务端消息处理
 });
