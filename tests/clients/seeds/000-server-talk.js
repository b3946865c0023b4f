{
  id: 1,
  message: 'hello', // 聊天内容
  type: 'text' // 内容类型
}
