// 创建一个 Socket 实例
var socket = new WebSocket("ws://localhost:8080");

// 打开 Socket
socket.onopen = function (event) {

    // 发送一个初始化消息
    socket.send("socket init")

    // 监听消息
    socket.onmessage = function (event) {
        console.log("Message listener")
    }

    // 监听 socket 的关闭
    socket.onclose = function (event) {
        console.log("closed")
    }

    // 关闭
    socket.close()
}
