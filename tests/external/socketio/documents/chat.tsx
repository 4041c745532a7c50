import { useWebSocket } from '@/hooks/useWebSocket';
import { WebSocketEvent, MessageType } from '@repo/types';

function ChatComponent() {
  const {
    isConnected,
    joinRoom,
    leaveRoom,
    sendMessage,
    startTyping,
    stopTyping,
    on,
    off,
  } = useWebSocket({
    token: 'your-auth-token',
    userId: 'user-123',
    autoConnect: true,
    onConnect: () => console.log('Connected'),
    onDisconnect: (reason) => console.log('Disconnected:', reason),
    onError: (error) => console.error('Error:', error),
  });

  useEffect(() => {
    if (isConnected) {
      // Join a room
      joinRoom({ room: 'chat-room' }).then((response) => {
        console.log('Joined room:', response);
      });
    }

    return () => {
      leaveRoom({ room: 'chat-room' });
    };
  }, [isConnected]);

  useEffect(() => {
    // Listen for messages
    const handleMessage = (message: MessagePayload) => {
      console.log('Received:', message);
    };

    on(WebSocketEvent.MESSAGE, handleMessage);

    return () => {
      off(WebSocketEvent.MESSAGE, handleMessage);
    };
  }, [on, off]);

  const handleSendMessage = () => {
    sendMessage({
      from: 'user-123',
      room: 'chat-room',
      content: 'Hello!',
      type: MessageType.TEXT,
    });
  };

  return (
    <div>
      <div>Status: {isConnected ? 'Connected' : 'Disconnected'}</div>
      <button onClick={handleSendMessage}>Send Message</button>
    </div>
  );
}
