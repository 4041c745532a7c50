// Rules that ask a webhook: the question and its signature, and which answers are remembered
// (protocols.md sections 6 and 11).

import { createHmac } from 'node:crypto';
import http from 'node:http';

import { check, same, withBroker } from '../lib/checks.mjs';
import { connect } from '../lib/client.mjs';
import { token } from '../lib/tokens.mjs';
import { answer, rows } from './asking.mjs';

const ALLOW = ['subscribe', 'publish'];

// A webhook that lets everybody into rooms whose name begins with "open", and counts its questions.
export default async function webhook() {
  const asked = [];
  const secret = 'the secret of the webhook';
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    const question = JSON.parse(body);
    asked.push({ question, signed: request.headers['x-shardwire-signature'] === `sha256=${signature}` });
    if (question.topic.startsWith('room.broken')) response.writeHead(500).end();
    else response.end(JSON.stringify({ allow: question.topic.startsWith('room.open') }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}/authorize`;
  await withBroker('webhook', {
    rule: [{ topic: 'room.*.**', allow: ALLOW, decide: 'webhook' }],
    webhook: { url, secret },
  }, async (broker) => {
    const jwt = await token('alice', '--role', 'member', '--tenant', 'acme');
    const client = () => connect(broker, { token: jwt });
    await rows('webhook', client, [
      ['subscribe', 'room.open1.a', 'subscribed'],
      ['subscribe', 'room.closed.a', 403],
      ['message', 'room.open1.a', 'published'],
      ['subscribe', 'room.broken.a', 403],
    ]);
    await check('the question is whole and signed', async () => {
      const { question, signed } = asked[0];
      same(signed, true, 'signature');
      same([question.action, question.topic, question.userId, question.tenantId], ['subscribe', 'room.open1.a', 'alice', 'acme']);
      same([question.roles, question.clientIp], [['member'], '127.0.0.1']);
      same('connectionId' in question, true, 'connectionId');
    });
    await check('an answer is remembered, a failure is not', async () => {
      const it = await client();
      const count = (topic) => asked.filter(({ question }) => question.topic === topic && question.action === 'subscribe').length;
      same(await answer(it, 'subscribe', 'room.open1.a'), 'subscribed');
      same(count('room.open1.a'), 1, 'questions');
      same(await answer(it, 'subscribe', 'room.broken.a'), 403);
      same(count('room.broken.a'), 2, 'questions');
    });
  });
  server.close();
  server.closeAllConnections();
}
