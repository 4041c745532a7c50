// What an operator asks: health, readiness, metrics, statistics, and the command line (protocols.md
// sections 7 and 10).

import { check, must, same, withBroker } from '../lib/checks.mjs';
import { shardwire } from '../lib/broker.mjs';
import { connect } from '../lib/client.mjs';
import { api, get, settled } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';

export default async function operations() {
  await withBroker('operations', {}, async (broker) => {
    await check('/health', async () => {
      const { status, json } = await get(broker, '/health');
      same([status, json.status], [200, 'healthy']);
    });
    await check('/ready', async () => {
      const it = await connect(broker, { token: await token('alice') });
      await it.quiet();
      const { status, json } = await get(broker, '/ready');
      same([status, json.status], [200, 'ready']);
      const { websocket } = json;
      for (const key of ['status', 'connections', 'rooms', 'uptime', 'redis', 'timestamp']) {
        must(key in websocket, `no ${key} in ${JSON.stringify(json)}`);
      }
      must('connected' in websocket.redis && 'latency' in websocket.redis, JSON.stringify(websocket.redis));
      same(websocket.connections, 1, 'connections');
      await it.close();
      await settled(broker, 0);
    });
    await check('/metrics is Prometheus text', async () => {
      const { status, headers, text } = await get(broker, '/metrics');
      same(status, 200, 'status');
      must(/^text\/plain/.test(headers['content-type']), headers['content-type']);
      const sample = /^[a-zA-Z_:][\w:]*(\{([a-zA-Z_]\w*="([^"\\\n]|\\.)*",?)*\})? [-+]?(\d[\d.e+-]*|Inf|NaN)$/;
      const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
      must(lines.length > 5, `${lines.length} samples`);
      for (const line of lines) must(sample.test(line), `no sample: ${line}`);
      const typed = new Set([...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram|summary)$/gm)].map((m) => m[1]));
      for (const line of lines) {
        const name = /^[\w:]+/.exec(line)[0];
        must(typed.has(name) || typed.has(name.replace(/_(bucket|sum|count|total)$/, '')), `no TYPE of ${name}`);
      }
    });
    await check('/api/openapi.json', async () => {
      const { status, json } = await api(broker, 'GET', '/api/openapi.json');
      same([status, json.openapi], [200, '3.1.0']);
      same((await get(broker, '/api/openapi.json')).status, 401, 'status without a key');
    });
    await check('/api/stats', async () => {
      const it = await connect(broker, { token: await token('alice', '--tenant', 'acme') });
      await it.subscribe('a');
      const { status, json } = await api(broker, 'GET', '/api/stats');
      same([status, json.total, json.byTenant, json.byChannel], [200, 1, { acme: 1 }, { a: 1 }]);
      same([json.activeConnections, json.totalRooms], [1, 1]);
      same(json.totals.connections, 1);
    });
  });
  await commands();
}

async function commands() {
  await check('operations: token has the claims that were asked for', async () => {
    const text = await shardwire('token', '--sub', 'u', '--role', 'a', '--role', 'b', '--tenant', 't', '--channel', 'c.*', '--ttl', '2h');
    const claims = JSON.parse(Buffer.from(text.split('.')[1], 'base64url'));
    const { iat, exp, ...rest } = claims;
    same(exp - iat, 7200, 'time');
    same([rest.sub, rest.roles, rest.tenantId, rest.channels], ['u', ['a', 'b'], 't', ['c.*']]);
  });
  await check('operations: an unknown flag is refused', async () => {
    await shardwire('serve', '--no-such-flag').then(
      () => must(false, 'it ran'),
      ({ message }) => must(/exit status 2/.test(message), message),
    );
  });
}
