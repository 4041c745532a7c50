// What a page in a browser sees of the broker, one Chromium for all: by a client of the tests' own
// (subjects.mjs) and by the clients of the systems that the broker replaces (sessions.mjs).
//
//     node run.mjs

import { check, finish, withBroker } from '../lib/checks.mjs';
import { startBrowser } from './browser.mjs';
import { servePage } from './page.mjs';
import { channelsSessions, eventsSessions } from './sessions.mjs';
import { carriers, closing, crossOrigin, refused, tabs } from './subjects.mjs';

const page = await servePage();
let browser;
await check('chromium: it starts', async () => {
  browser = await startBrowser();
});
if (browser) {
  const allowed = {
    server: { allow_origins: [page.origin] },
    websocket: { compression: true, compression_min_bytes: 64, max_message_bytes: 65_536 },
    auth: { leeway_s: 0 },
  };
  await withBroker('chromium', allowed, async (broker) => {
    const open = () => browser.tab(page.origin);
    await carriers(broker, open);
    await tabs(broker, open);
    await closing(broker, open);
    await crossOrigin(broker, browser, page.origin);
  });
  await withBroker('chromium', {}, async (broker) => refused(broker, () => browser.tab(page.origin)));
  await eventsSessions(browser, page);
  await channelsSessions(browser, page);
  await browser.close();
}
page.close();
finish();
