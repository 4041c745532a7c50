// The same over TLS, with Node's own: every dialect and the HTTP API, both versions, who does not
// speak it, and a certificate that is renewed (protocols.md section 10, `[tls]`).

import net from 'node:net';
import tls from 'node:tls';

import { check, cleanup, must, same, until, withBroker } from '../lib/checks.mjs';
import { certificate } from '../lib/certificate.mjs';
import { attempt, connect, refusal } from '../lib/client.mjs';
import { api, get } from '../lib/http.mjs';
import { token } from '../lib/tokens.mjs';
import { expectTimed, join, member, post } from './membership.mjs';

export default async function tlsChecks() {
  const own = certificate();
  const settings = {
    tls: own.settings,
    rule: [{ topic: '**', allow: ['subscribe', 'publish'], decide: 'allow' }],
    websocket: { compression: true },
  };
  await withBroker('tls', settings, async (broker) => {
    await check('the address it says is https', async () => must(/^https:/.test(broker.url), broker.url));
    await versions(broker, own);
    await dialects(broker, own);
    await strangers(broker, own);
    await renewal(broker, own);
  });
  own.remove();
}

async function versions(broker, own) {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    await check(`${version}: messages of any size, plain and compressed`, async () => {
      const only = { ca: own.pem(), minVersion: version, maxVersion: version };
      for (const perMessageDeflate of [false, true]) {
        const it = await connect(broker, { token: await token('alice'), perMessageDeflate, ...only });
        same(it.socket._socket.getProtocol(), version, 'version');
        await it.subscribe('t');
        for (const size of [0, 1, 16_383, 16_384, 16_385, 100_000, 1_000_000]) {
          const data = 'x'.repeat(size);
          it.send({ type: 'message', topic: 't', data });
          must((await it.expect('message')).data === data, `not what was sent: ${size}`);
        }
      }
    });
  }
}

async function dialects(broker, own) {
  const ca = own.pem();
  await check('each dialect and the API, across', async () => {
    const tom = await connect(broker, { token: await token('tom'), ca });
    const eve = await connect(broker, { path: '/events', token: await token('eve'), ca });
    const cha = await join(await member(broker, 'cha', 'acme', { ca }), 'x');
    await tom.subscribe('x');
    await eve.subscribe('x');
    post(cha, 'x', 1);
    same([(await tom.expect('message')).data, (await eve.next()).data], [1, 1]);
    const { json } = await api(broker, 'POST', '/api/publish', { topic: 'x', data: 2 }, undefined, { ca });
    same(json, { delivered: 3 });
    same([(await tom.expect('message')).data, (await eve.next()).data], [2, 2]);
    same((await expectTimed(cha, 'channel_message')).message, 2);
    const root = await connect(broker, { path: '/ws/admin', token: await token('root', '--role', 'admin'), ca });
    same((await root.ask({ type: 'topic', data: { topic: 'x' } })).data.connections, 3);
    const { code } = await tom.close(4321);
    same(code, 4321, 'code');
  });
  await check('who is refused, is told so as ever', async () => {
    same(await refusal(broker, { token: 'garbage', ca }), 401);
    same(await refusal(broker, { path: '/nowhere', token: await token('tom'), ca }), 404);
    same((await get(broker, '/api/stats', { ca })).status, 401, 'status');
  });
}

async function strangers(broker, own) {
  const { port } = new URL(broker.url);
  await check('who does not speak it gets a 400 and the end', async () => {
    const socket = net.connect(port, '127.0.0.1');
    cleanup(() => socket.destroy());
    let heard = '';
    socket.on('data', (bytes) => (heard += bytes));
    socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => socket.on('close', resolve));
    must(/^HTTP\/1\.1 400 /.test(heard), heard);
  });
  await check('an older version is not spoken', async () => {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: own.pem(), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    cleanup(() => socket.destroy());
    await new Promise((resolve, reject) => {
      socket.on('error', resolve);
      socket.on('secureConnect', () => reject(new Error(socket.getProtocol())));
    });
  });
}

async function renewal(broker, own) {
  await check('a renewed certificate is taken at SIGHUP, and who is there stays', async () => {
    const before = own.pem();
    const old = await connect(broker, { token: await token('tom'), ca: before });
    await old.subscribe('t');
    own.renew();
    process.kill(broker.pid, 'SIGHUP');
    await until(async () => {
      const it = attempt(broker, { token: await token('tom'), ca: own.pem() });
      return it.opened.then(() => it.close(), () => false);
    }, 'the new certificate');
    const error = await refusal(broker, { token: await token('tom'), ca: before });
    must(/certificate|self.signed/.test(error), `${error}`);
    old.send({ type: 'message', topic: 't', data: 1 });
    same((await old.expect('message')).data, 1);
  });
}
