// Connections that end without anyone having wished it: cut on their way, or by a broker that goes
// and comes. The stock client comes back by itself, as a new socket (protocols.md sections 5 and 9).

import { check, must, same, until } from '../lib/checks.mjs';
import { startBroker } from '../lib/broker.mjs';
import { publish, settled } from '../lib/http.mjs';
import { relay } from '../lib/relay.mjs';
import { COMES_BACK, open } from './clients.mjs';

export default async function dropping(broker, kind) {
  await check('cut, it comes back as another socket, in no room', async () => {
    const way = await relay(broker);
    const it = await open(way, kind, 'ann', COMES_BACK);
    await it.join('before');
    const { id } = it;
    await it.steady(kind);
    // Between two polls there is nothing to cut.
    way.cut();
    must(/^transport (close|error)$/.test(await it.disconnected()), 'another reason');
    way.reopen();
    await it.back();
    must(it.id !== id, 'the same id');
    await until(async () => (await publish(broker, { topic: 'before', data: 1 })).json.delivered === 0, 'its leaving');
    same(await it.join('before'), 1, 'members');
    await publish(broker, { topic: 'before', data: 'new' });
    same(await it.expect('message'), 'new');
    await it.quiet();
  });
  await check('cut while it sends: what was acknowledged was heard, once and in order', async () => {
    const way = await relay(broker);
    const [it, bob] = [await open(way, kind, 'ann', COMES_BACK), await open(broker, kind, 'bob')];
    await bob.join('cut');
    await it.join('cut');
    await it.steady(kind);
    const done = [];
    for (let n = 0; n < 100; n += 1) {
      it.socket.emit('message', { room: 'cut', content: n }, (answer) => answer.success && done.push(n));
      if (n === 50) await it.expect('message').then(() => way.cut());
    }
    await it.disconnected();
    way.reopen();
    await it.back();
    await until(async () => (await publish(broker, { topic: 'cut', data: 'end' })).json.delivered === 1, 'its leaving');
    const heard = [];
    for (;;) {
      const message = await bob.expect('message');
      if (message === 'end') break;
      heard.push(message.content);
    }
    same(heard, [...heard].sort((a, b) => a - b), 'order');
    same(new Set(heard).size, heard.length, 'heard, each once');
    must(done.every((n) => heard.includes(n)), 'an acknowledged message was not heard');
  });
}

// A broker that shuts down, and another behind the same address.
export async function restarted(kind) {
  await check(`${kind.name}: the broker goes and another comes: the client is there again`, async () => {
    const first = await startBroker();
    const way = await relay(first);
    const it = await open(way, kind, 'ann', COMES_BACK);
    await it.join('moved');
    const { id } = it;
    const second = await startBroker();
    way.reopen(second);
    await first.stop();
    must(/^transport (close|error)$/.test(await it.disconnected()), 'another reason');
    await it.back();
    must(it.id !== id, 'the same id');
    await settled(second, 1);
    same(await it.join('moved'), 1, 'members');
    await publish(second, { topic: 'moved', data: 1 });
    same(await it.expect('message'), 1);
    it.socket.disconnect();
    await second.stop();
  });
}
