// Writes settings as TOML: sections of scalars and lists, and arrays of such sections.
//
// JSON spells strings, numbers, booleans and lists of them as TOML does; nothing else is needed.

const section = (heading, keys) =>
  [heading, ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`), ''];

// { server: { port: 1 }, endpoint: [{ path: "/ws" }] } becomes [server] and [[endpoint]].
export function toml(settings) {
  return Object.entries(settings)
    .flatMap(([name, value]) =>
      Array.isArray(value)
        ? value.flatMap((keys) => section(`[[${name}]]`, keys))
        : section(`[${name}]`, value),
    )
    .join('\n');
}
