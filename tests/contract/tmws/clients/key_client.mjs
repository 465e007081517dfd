// The Node client with a key; node-fetch as in the guide where it is, else Node's own.
const fetch = await import('node-fetch').then((module) => module.default, () => globalThis.fetch);
const [base, , , key] = process.argv.slice(2);

async function request(method, path, body, apiKey = key) {
  const reply = await fetch(base + path, {
    method, redirect: 'error',
    headers: { 'X-API-Key': apiKey, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  return { status: reply.status, body: await reply.json() };
}

function assert(truth, what) {
  if (!truth) throw new Error(JSON.stringify(what));
}

const made = await request('POST', '/api/v1/tasks', { title: 'Node', description: 'd', priority: 'low' });
assert(made.status === 201 && made.body.task.id, made);
const listed = await request('GET', '/api/v1/tasks');
assert(listed.status === 200 && listed.body.total >= 1, listed);
const found = await request('POST', '/api/v1/memory/search', { query: 'node', limit: 3 });
assert(found.status === 200 && Array.isArray(found.body.results), found);
const bad = await request('GET', '/api/v1/tasks', undefined, 'tmws_key_bad.secret');
assert(bad.status === 401 && bad.body.error === 'Invalid API key', bad);
console.log('all well');
