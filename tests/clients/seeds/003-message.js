connection.onopen = function () {
  console.log('连接到服务器啦！');
};

connection.send('消息内容');

connection.onerror = function (error) {
  console.log('WebSocket Error ' + error);
};

connection.onmessage = function (e) {
  console.log('Server: ' + e.data);
};
