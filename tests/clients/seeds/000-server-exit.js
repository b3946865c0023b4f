{
  id: 1,
  name: 'zswang' // 用户名
}
