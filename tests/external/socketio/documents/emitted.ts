// Join a room
socket.emit(WebSocketEvent.JOIN_ROOM, {
  room: 'room-name',
  metadata: {
    /* optional */
  },
});

// Leave a room
socket.emit(WebSocketEvent.LEAVE_ROOM, {
  room: 'room-name',
});

// Send message
socket.emit(WebSocketEvent.MESSAGE, {
  from: 'user-id',
  room: 'room-name', // optional
  to: 'recipient-socket-id', // optional
  content: 'message content',
  type: MessageType.TEXT,
  metadata: {
    /* optional */
  },
});

// Typing indicators
socket.emit(WebSocketEvent.TYPING_START, { room: 'room-name' });
socket.emit(WebSocketEvent.TYPING_STOP, { room: 'room-name' });

// Presence update
socket.emit(WebSocketEvent.PRESENCE_UPDATE, PresenceStatus.ONLINE);

// Ping (latency check)
socket.emit(WebSocketEvent.PING);
