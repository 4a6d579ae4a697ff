// Reads stack.env: `KEY=value` lines as a shell understands them. Single quotes stand around values
// that need them.

/** @returns {Record<string, string>} */
export function parseStack(text) {
  const lines = text.matchAll(/^(\w+)=((?:'[^']*'|\\'|[^'\n])*)$/gm);
  const unquote = (word) => word.replace(/'([^']*)'|\\(.)/g, (_, quoted, escaped) => quoted ?? escaped);
  return Object.fromEntries([...lines].map(([, name, word]) => [name, unquote(word)]));
}
