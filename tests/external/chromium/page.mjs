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

// Answers with `{ origin, put, close }`. The page is the same under every path, but for pages that
// were put there: `put` answers with the address of one.
export async function servePage() {
  const others = new Map();
  const server = http.createServer((request, response) => {
    const html = others.get(request.url) ?? HTML;
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(html);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    put(html) {
      const path = `/${others.size}`;
      others.set(path, html);
      return this.origin + path;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
