// Who gets in by origin, path, request, role and proxy (protocols.md sections 1, 9, 10 and 11).

import net from 'node:net';

import { check, cleanup, must, same, withBroker } from '../lib/checks.mjs';
import { attempt, refusal } from '../lib/client.mjs';
import { get, request } from '../lib/http.mjs';
import { forge, token } from '../lib/tokens.mjs';

export default async function doors() {
  await withBroker('doors', {}, async (broker) => {
    const jwt = await token('alice');
    const from = (origin) => refusal(broker, { token: jwt, ...(origin && { origin }) });
    await check('no Origin is let in', async () => same(await from(undefined), 101));
    await check('the same host is let in', async () => same(await from(broker.url), 101));
    await check('another host is 403', async () => same(await from('https://evil.example'), 403));
    await check('another port is 403', async () => same(await from('http://127.0.0.1:1'), 403));
    await check('the host as a prefix is 403', async () => same(await from(`${broker.url}.evil.example`), 403));
    await check('origin null is 403', async () => same(await from('null'), 403));
    await check('an unknown path is 404', async () => {
      same(await refusal(broker, { token: jwt, path: '/nowhere' }), 404);
      same((await get(broker, '/nowhere')).status, 404);
    });
    await check('a plain GET of an endpoint is refused, not served', async () => {
      const { status } = await get(broker, `/ws?token=${jwt}`);
      must(status >= 400 && status < 500, `status ${status}`);
    });
    await check('request headers over 16 KiB are 431', async () => {
      const { status } = await get(broker, '/health', { headers: { 'X-Long': 'x'.repeat(17_000) } });
      same(status, 431, 'status');
    });
    await check('more than 100 header lines are 431', async () => {
      const headers = Object.fromEntries(Array.from({ length: 120 }, (_, n) => [`X-${n}`, 'x']));
      same((await get(broker, '/health', { headers })).status, 431, 'status');
    });
  });
  const listed = { server: { allow_origins: ['https://app.example', 'http://localhost:5173'] } };
  await withBroker('doors', listed, async (broker) => {
    const jwt = await token('alice');
    for (const [origin, status] of [
      ['https://app.example', 101],
      ['http://localhost:5173', 101],
      ['http://app.example', 403],
      ['https://app.example.evil.example', 403],
      ['https://app.example:8443', 403],
    ]) {
      await check(`listed origins: ${origin} is ${status}`, async () => {
        same(await refusal(broker, { token: jwt, origin }), status);
      });
    }
  });
  await withBroker('doors', { server: { allow_origins: ['*'] } }, async (broker) => {
    await check('any origin with "*"', async () => {
      same(await refusal(broker, { token: await token('alice'), origin: 'https://any.example' }), 101);
    });
  });
  const ports = { server: { allow_origins: ['https://app.example:443', 'http://localhost'] } };
  await withBroker('doors', ports, async (broker) => {
    const jwt = await token('alice');
    for (const [origin, status] of [
      ['https://app.example', 101],
      ['http://localhost:80', 101],
      ['http://app.example:443', 403],
    ]) {
      await check(`the port a scheme has anyway: ${origin} is ${status}`, async () => {
        same(await refusal(broker, { token: jwt, origin }), status);
      });
    }
  });
  await dialects();
  await proxies();
  await metrics();
}

// Each dialect tells in its own way who does not come in.
async function dialects() {
  const endpoint = ['topics', 'events', 'channels', 'admin'].map((dialect) => ({ path: `/${dialect}`, dialect }));
  await withBroker('doors', { endpoint, tenants: { inactive: ['idle'] } }, async (broker) => {
    const at = (path, claims) =>
      refusal(broker, { path, ...(claims && { token: forge({ sub: 'alice', ...claims }) }) });
    await check('topics lets in who has no token yet', async () => same(await at('/topics'), 101));
    await check('events does not', async () => same(await at('/events'), 401));
    await check('admin is 401 without a token, 403 without the role', async () => {
      same(await at('/admin'), 401);
      same(await refusal(broker, { path: '/admin', token: 'garbage' }), 401);
      same(await at('/admin', { roles: ['member'] }), 403);
      same(await at('/admin', { roles: ['member', 'admin'] }), 101);
    });
    await check('a tenant put on ice is 401', async () => {
      for (const path of ['/topics', '/events', '/admin']) {
        same(await at(path, { tenantId: 'idle', roles: ['admin'] }), 401, path);
        same(await at(path, { tenantId: 'acme', roles: ['admin'] }), 101, path);
      }
    });
    for (const [what, claims] of [
      ['no token', undefined],
      ['no tenant', {}],
      ['a tenant put on ice', { tenantId: 'idle' }],
      ['a tenant that holds a colon', { tenantId: 'ac:me' }],
      ['a user that holds a colon', { tenantId: 'acme', sub: 'al:ice' }],
    ]) {
      await check(`channels lets in to hear the no: ${what}`, async () => {
        const it = attempt(broker, {
          path: '/channels',
          ...(claims && { token: forge({ sub: 'alice', ...claims }) }),
        });
        await it.opened;
        const { code, reason } = await it.closed;
        same([code, reason], [1000, 'Authentication failed']);
      });
    }
    await check('channels hears of an origin before the upgrade all the same', async () => {
      same(await refusal(broker, { path: '/channels', origin: 'https://evil.example' }), 403);
    });
  });
}

// We are the listed proxy here.
async function proxies() {
  const server = { trusted_proxies: ['127.0.0.1'], proxy_protocol: true, max_connections_per_ip: 1 };
  await withBroker('doors', { server }, async (broker) => {
    const jwt = await token('alice');
    const v1 = (client) => Buffer.from(`PROXY TCP4 ${client} 192.0.2.1 4000 80\r\n`);
    const v2 = (client) =>
      Buffer.concat([
        Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'),
        Buffer.from([...client.split('.').map(Number), 192, 0, 2, 1, 0x0f, 0xa0, 0, 80]),
      ]);
    await check('one client through both versions is one address', async () => {
      same(await knock(broker, v1('203.0.113.9'), jwt), 101);
      same(await knock(broker, v2('203.0.113.9'), jwt), 429);
      same(await knock(broker, v2('203.0.113.10'), jwt), 101);
    });
    await check('a proxy without a header is cut', async () => {
      same(await knock(broker, Buffer.alloc(0), jwt), 0);
      same(await knock(broker, Buffer.from('PROXY nonsense\r\n'), jwt), 0);
    });
  });
  const others = { server: { trusted_proxies: ['192.0.2.1'], proxy_protocol: true } };
  await withBroker('doors', others, async (broker) => {
    const header = Buffer.from('PROXY TCP4 203.0.113.9 192.0.2.1 4000 80\r\n');
    await check('a header from anyone else is a bad request', async () => same(await knock(broker, header), 400));
    await check('without one he is let in', async () => same(await knock(broker, Buffer.alloc(0)), 101));
  });
}

// The status of an upgrade behind these bytes; 0 where the connection ends without one. The
// connection stays until the check is over.
function knock(broker, before, jwt) {
  const { hostname, port } = new URL(broker.url);
  const socket = net.connect(port, hostname);
  cleanup(() => socket.destroy());
  socket.write(before);
  socket.write(
    `GET /ws${jwt ? `?token=${jwt}` : ''} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\n` +
      'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (part) => {
      text += part;
      const status = /^HTTP\/1\.1 (\d+)/.exec(text);
      if (status) resolve(Number(status[1]));
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(0));
  });
}

async function metrics() {
  const port = await freePort();
  await withBroker('doors', { server: { metrics_address: `127.0.0.1:${port}` } }, async (broker) => {
    const there = { url: `http://127.0.0.1:${port}` };
    await check('metrics at an address of their own, and nowhere else', async () => {
      const { status, text } = await get(there, '/metrics');
      same(status, 200);
      must(text.includes('shardwire_connections'), text.slice(0, 300));
      same((await get(broker, '/metrics')).status, 404, 'status on the main port');
    });
    await check('nothing else is there', async () => {
      for (const path of ['/health', '/ws', '/api/stats']) same((await get(there, path)).status, 404, path);
      same((await request(there, 'POST', '/metrics')).status, 405);
    });
  });
}

// A port that was free a moment ago.
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
