// A room server on socket.io: join a room, send to a room. The events are those of shardwire's
// `socketio` dialect. Set up as socket.io's own advice on performance and memory says: WebSocket
// only, no compression, the first HTTP request let go.
//
//     node server.mjs PORT

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
  maxHttpBufferSize: 1024 * 1024,
});

io.engine.on('connection', (socket) => {
  socket.request = null;
});

io.on('connection', (socket) => {
  socket.on('join_room', ({ room }, ack) => {
    socket.join(room);
    const joined = { success: true, room, memberCount: io.sockets.adapter.rooms.get(room).size };
    ack?.(joined);
    socket.emit('room_joined', joined);
  });

  socket.on('message', (payload, ack) => {
    const stamp = { id: randomUUID(), timestamp: new Date().toISOString() };
    io.to(payload.room).emit('message', { ...payload, ...stamp });
    ack?.({ success: true, ...stamp });
  });
});

process.on('SIGTERM', () => process.exit(0));
http.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 });
