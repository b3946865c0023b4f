{
  name: 'zswang' // 用户名
}
