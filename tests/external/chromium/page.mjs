// The page under test and its little server on a free port: a WebSocket with its events in a queue,
// nothing of the broker's.

import { once } from 'node:events';
import http from 'node:http';

const HTML = `<!doctype html><meta charset="utf-8"><title>client</title><script>
// One connection: what comes is queued, what waits is served in order; the close is told as well.
function dial(url, protocols) {
  const socket = new WebSocket(url, protocols);
  const queue = [], wanted = [];
  const push = (event) => (wanted.length ? wanted.shift()(event) : queue.push(event));
  socket.onopen = () => push({ open: socket.protocol, extensions: socket.extensions });
  socket.onmessage = ({ data }) => push({ text: data });
  socket.onclose = ({ code, reason, wasClean }) => push({ code, reason, wasClean });
  return { socket, next: () => new Promise((resolve) => (queue.length ? resolve(queue.shift()) : wanted.push(resolve))) };
}
</script>`;

// Answers with `{ origin, close }`. The page is the same under every path.
export async function servePage() {
  const server = http.createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(HTML);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
