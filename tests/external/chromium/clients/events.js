// Client-side code (browser)
const connectWebSocket = (authToken) => {
  // Create WebSocket connection
  const socket = new WebSocket(`wss://api.example.com/ws?token=${authToken}`);

  // Set up event handlers
  socket.onopen = () => {
    console.log("WebSocket connection established");

    // Subscribe to topics
    socket.send(
      JSON.stringify({
        type: "subscribe",
        topics: [
          `user.${userId}.notifications`,
          "system.notifications",
          `room.${roomId}.messages`,
        ],
      }),
    );
  };

  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);

    switch (message.type) {
      case "notification":
        displayNotification(message.data);
        break;
      case "system_notification":
        displaySystemAlert(message.data);
        break;
      case "chat_message":
        addMessageToChat(message.data);
        break;
      default:
        console.log("Unknown message type:", message.type);
    }
  };

  socket.onclose = () => {
    console.log("WebSocket connection closed");
    // Implement reconnection logic
    setTimeout(() => connectWebSocket(authToken), 5000);
  };

  return socket;
};
