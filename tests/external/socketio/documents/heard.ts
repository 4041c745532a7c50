// Room events
socket.on(WebSocketEvent.ROOM_JOINED, (response: JoinRoomResponse) => {});
socket.on(WebSocketEvent.ROOM_LEFT, (response: LeaveRoomResponse) => {});
socket.on(WebSocketEvent.ROOM_ERROR, (error: WebSocketError) => {});

// Messages
socket.on(WebSocketEvent.MESSAGE, (message: MessagePayload) => {});

// Typing indicators
socket.on(WebSocketEvent.TYPING_START, (indicator: TypingIndicator) => {});
socket.on(WebSocketEvent.TYPING_STOP, (indicator: TypingIndicator) => {});

// Presence
socket.on(WebSocketEvent.PRESENCE_UPDATE, (presence: PresenceUpdate) => {});

// System events
socket.on(WebSocketEvent.ERROR, (error: WebSocketError) => {});
socket.on(WebSocketEvent.PONG, () => {});
