// Frontend WebSocket client
class WebSocketClient {
  constructor(token, tenantId) {
    this.token = token;
    this.tenantId = tenantId;
    this.callbacks = new Map();
  }

  connect() {
    const wsUrl = `ws://localhost:3000/ws?token=${this.token}`;
    this.socket = new WebSocket(wsUrl);

    this.socket.onopen = () => {
      console.log('Connected to WebSocket');
      this.joinChannel(`tenant:${this.tenantId}:general`);
    };

    this.socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      this.handleMessage(message);
    };

    this.socket.onclose = () => {
      console.log('WebSocket connection closed');
      // Implement reconnection logic
    };
  }

  joinChannel(channel) {
    this.send({
      type: 'join_channel',
      data: { channel }
    });
  }

  subscribeToNotifications(types = ['all']) {
    this.send({
      type: 'subscribe_notifications',
      data: { types }
    });
  }

  sendMessage(channel, message) {
    this.send({
      type: 'send_message',
      data: { channel, message }
    });
  }

  on(event, callback) {
    if (!this.callbacks.has(event)) {
      this.callbacks.set(event, []);
    }
    this.callbacks.get(event).push(callback);
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(message));
    }
  }

  handleMessage(message) {
    const { type, data } = message;
    const callbacks = this.callbacks.get(type) || [];
    callbacks.forEach(callback => callback(data));
  }
}

// Usage
const wsClient = new WebSocketClient(authToken, tenantId);

wsClient.on('notification', (data) => {
  showNotification(data);
});

wsClient.on('channel_message', (data) => {
  displayMessage(data.channel, data.message);
});

wsClient.connect();
