// Pages with the browser code of two systems that the broker replaces, as their documents print it
// (clients/): not a character of it is changed but the address it dials. Around it stands what the
// code takes for granted: the names it uses, and functions that show on the page what they are given.
//
// In clients/ are the events dialect's client (its document calls it TypeScript; there are no types
// in it, so a browser takes it as it is) and that of channels (protocols.md sections 3 and 4).

import { readFileSync } from 'node:fs';

import { must } from '../lib/checks.mjs';

const code = (name) => readFileSync(new URL(`./clients/${name}`, import.meta.url), 'utf8');

// The code with another address: what stood there once must be gone, and nothing else.
function dialling(name, documented, own) {
  const parts = code(name).split(documented);
  must(parts.length === 2, `${name} has ${parts.length - 1} times ${documented}`);
  return parts.join(own);
}

// The address of a broker as the clients spell it, up to the path: scheme and host.
const host = (broker) => broker.ws('');

// What a page is: its values under the names that the code expects, the functions that show things,
// and the scripts, each by itself as in a page of the time.
const page = (values, shown, ...scripts) => `<!doctype html>
<meta charset="utf-8"><title>client</title><ul></ul>
<script>
${Object.entries(values).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};`).join('\n')}
${shown.map((name) => `const ${name} = (...given) => show('${name}', given);`).join('\n')}
function show(by, given) {
  const item = document.createElement('li');
  item.className = by;
  item.textContent = JSON.stringify(given);
  document.querySelector('ul').append(item);
}
</script>
${scripts.map((script) => `<script>\n${script}\n</script>`).join('\n')}
`;

// The page of the publish-subscribe client; it connects as soon as it is there.
export const eventsPage = (broker, { userId, roomId, authToken }) =>
  page(
    { userId, roomId, authToken },
    ['displayNotification', 'displaySystemAlert', 'addMessageToChat'],
    dialling('events.js', 'wss://api.example.com', host(broker)),
    'globalThis.socket = connectWebSocket(authToken);',
  );

// The page of the multi-tenant client, which connects by itself.
export const channelsPage = (broker, { tenantId, authToken }) =>
  page(
    { tenantId, authToken },
    ['showNotification', 'displayMessage'],
    dialling('channels.js', 'ws://localhost:3000', host(broker)),
  );
