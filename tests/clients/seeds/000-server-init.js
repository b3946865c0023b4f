{
  self: {
    id: 1
  },
  users: [{
    name: 'zswang1',
    id: 1
  }],
  messages: [{
    id: 1,
    message: 'hello world.',
    type: 'text',
    "from": {
      name: 'zswang1',
      id: 1
    }
  }]
}
