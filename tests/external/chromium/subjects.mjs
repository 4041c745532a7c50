// The checks in the browser (protocols.md sections 1, 3 and 11): the carriers that a browser has,
// two tabs, close codes as `onclose` sees them, and origins.

import { check, must, same } from '../lib/checks.mjs';
import { api } from '../lib/http.mjs';
import { shortToken, token } from '../lib/tokens.mjs';

// Refused before the upgrade: all that a page is told.
const REFUSED = { code: 1006, reason: '', wasClean: false };

// Publishes to itself: the user that the broker takes it for.
async function whoami(tab) {
  same((await tab.ask({ type: 'subscribe', topic: 'who' })).type, 'subscribed');
  return (await tab.ask({ type: 'message', topic: 'who', data: null })).metadata?.senderId;
}

export async function carriers(broker, open) {
  const alice = await token('alice');
  await check('token by query', async () => {
    const tab = await open();
    same((await tab.dial(`${broker.ws()}?token=${alice}`)).open, '', 'subprotocol');
    same(await whoami(tab), 'alice');
  });
  await check('token by subprotocol, the reply selects bearer', async () => {
    const tab = await open();
    same((await tab.dial(broker.ws(), ['bearer', alice])).open, 'bearer', 'subprotocol');
    same(await whoami(tab), 'alice');
  });
  await check('token by cookie', async () => {
    const tab = await open();
    await tab.cookie(`token=${alice}; path=/; SameSite=Lax`);
    same((await tab.dial(broker.ws())).open, '', 'subprotocol');
    same(await whoami(tab), 'alice');
  });
  await check('token by auth message', async () => {
    const tab = await open();
    await tab.dial(broker.ws());
    same((await tab.ask({ type: 'auth', token: alice })).userId, 'alice');
  });
  for (const [name, dial] of Object.entries({
    query: (tab) => tab.dial(`${broker.ws()}?token=garbage`),
    subprotocol: (tab) => tab.dial(broker.ws(), ['bearer', 'garbage']),
    cookie: async (tab) => {
      await tab.cookie('token=garbage; path=/');
      return tab.dial(broker.ws());
    },
  })) {
    await check(`a bad token by ${name} is refused`, async () => same(await dial(await open()), REFUSED));
  }
}

export async function tabs(broker, open) {
  await check('two tabs publish to each other, compressed', async () => {
    const [one, two] = [await open(), await open()];
    for (const [tab, user] of [[one, 'alice'], [two, 'bob']]) {
      const { extensions } = await tab.dial(`${broker.ws()}?token=${await token(user)}`);
      must(/permessage-deflate/.test(extensions), `extensions "${extensions}"`);
      same((await tab.ask({ type: 'subscribe', topic: 'chat.*' })).type, 'subscribed');
    }
    const text = JSON.stringify({ z: '日本 🚀 '.repeat(500), a: 1 });
    for (const [from, user] of [[one, 'alice'], [two, 'bob']]) {
      await from.send(`{"type":"message","topic":"chat.x","data":${text}}`);
      for (const tab of [one, two]) {
        const message = await tab.message();
        same(message.metadata.senderId, user, 'senderId');
        must(message.text.includes(`"data":${text}`), 'not what was sent');
      }
    }
  });
  await check('HTTP publish reaches a tab', async () => {
    const tab = await open();
    await tab.dial(`${broker.ws()}?token=${await token('alice')}`);
    await tab.ask({ type: 'subscribe', topic: 'http' });
    same((await api(broker, 'POST', '/api/publish', { topic: 'http', data: 1 })).json.delivered, 1);
    same((await tab.message()).data, 1);
  });
}

export async function closing(broker, open) {
  const dialled = async (user) => {
    const tab = await open();
    await tab.dial(broker.ws() + (user ? `?token=${await token(user)}` : ''));
    return tab;
  };
  // The closing as the page sees it, after whatever frames come before.
  const end = async (tab) => {
    for (;;) {
      const event = await tab.next();
      if (event.text === undefined) return event;
    }
  };
  await check('our close is answered, cleanly', async () => {
    const tab = await dialled('alice');
    await tab.close(4321, 'bye');
    const { code, wasClean } = await end(tab);
    same([code, wasClean], [4321, true]);
  });
  await check('1008 after three failures', async () => {
    const tab = await dialled();
    for (let n = 0; n < 3; n += 1) await tab.send({ type: 'auth', token: 'garbage' });
    const { code, wasClean, reason } = await end(tab);
    same([code, wasClean], [1008, true]);
    must(reason.length > 0, 'no reason');
  });
  await check('1009 for what is too large', async () => {
    const tab = await dialled('alice');
    await tab.send('x'.repeat(70_000));
    same((await end(tab)).code, 1009);
  });
  await check('4401 when the token expires', async () => {
    const tab = await open();
    await tab.dial(`${broker.ws()}?token=${await shortToken('alice', '2s')}`);
    same((await tab.message()).type, 'auth_expired');
    same((await end(tab)).code, 4401);
  });
}

// The broker allows the page's origin as 127.0.0.1; the same page as localhost is another origin.
export async function crossOrigin(broker, browser, origin) {
  await check('an origin that is not listed is refused', async () => {
    const tab = await browser.tab(origin.replace('127.0.0.1', 'localhost'));
    same(await tab.dial(`${broker.ws()}?token=${await token('alice')}`), REFUSED);
  });
}

// A broker without a list: a page from another port is another origin.
export async function refused(broker, open) {
  await check('without a list, a page of another port is refused', async () => {
    const tab = await open();
    same(await tab.dial(`${broker.ws()}?token=${await token('alice')}`), REFUSED);
  });
}
