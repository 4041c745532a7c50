const socket = io('ws://localhost:3000/ws', {
  auth: {
    token: 'your-jwt-token'
  }
});
