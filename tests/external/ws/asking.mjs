// Asks the broker for something and compares its answer with a table.

import { check, same } from '../lib/checks.mjs';

// The answer to asking for this: `subscribed`, `published` or the code of the error.
export async function answer(client, type, topic) {
  const reply = await client.ask({ type, topic, ...(type === 'message' && { data: 1, id: 1 }) });
  return reply.code ?? reply.type;
}

// Rows of: action, topic or pattern, what is answered.
export async function rows(name, client, table) {
  for (const [type, topic, expected] of table) {
    await check(`${name}: ${type} ${topic} is ${expected}`, async () => {
      same(await answer(await client(), type, topic), expected);
    });
  }
}
