// The TypeScript client with fetch: Content-Type on every call, JSON parsed on every 2xx.
const [base, username, password] = process.argv.slice(2);
let access, refresh, expiresAt = 0, refreshes = 0;

function assert(truth, ...what) {
  if (!truth) throw new Error(what.map((w) => (typeof w === 'string' ? w : JSON.stringify(w))).join(' '));
}

async function post(path, body) {
  const reply = await fetch(base + path, {
    method: 'POST', redirect: 'error',
    headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  if (!reply.ok) {
    const error = new Error(`${path}: ${reply.status}`);
    error.status = reply.status;
    error.body = await reply.json();
    throw error;
  }
  return reply.json();
}

function take(data) {
  access = data.access_token;
  refresh = data.refresh_token;
  expiresAt = Date.now() + data.expires_in * 1000;
}

const login = async () => take(await post('/api/v1/auth/login', { username, password }));

async function request(path, options = {}) {
  if (Date.now() > expiresAt - 5 * 60 * 1000) {
    if (refresh) {
      refreshes += 1;
      try { take(await post('/api/v1/auth/refresh', { refresh_token: refresh })); } catch { await login(); }
    } else {
      await login();
    }
  }
  const reply = await fetch(base + path, {
    redirect: 'error', ...options,
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${access}`, ...options.headers },
  });
  if (!reply.ok) throw Object.assign(new Error(`${path}: ${reply.status}`), { status: reply.status });
  return reply.json();
}

await login();
const made = await request('/api/v1/tasks', {
  method: 'POST', body: JSON.stringify({ title: 'TypeScript', description: 'd', priority: 'low' }),
});
assert(typeof made.task.id === 'string', made);
const listed = await request('/api/v1/tasks');
assert(Number.isInteger(listed.total) && Array.isArray(listed.tasks), listed);
const found = await request('/api/v1/memory/search', { method: 'POST', body: JSON.stringify({ query: 'x' }) });
assert(Array.isArray(found.results), found);
assert(refreshes === 0, 'no needless refresh (trap 3)');

// Two tasks race on one refresh token: both must go on.
const [one, two] = await Promise.all([1, 2].map(() => post('/api/v1/auth/refresh', { refresh_token: refresh })));
assert(one.refresh_token === two.refresh_token, 'the family forked');
take(one);
await request('/api/v1/tasks');

try {
  await post('/api/v1/auth/login', { username: 'nobody-fetch', password: 'wrong' });
  throw new Error('a wrong password logged in');
} catch (error) {
  assert(error.status === 401 && typeof error.body.error === 'string', String(error));
}
const out = await request('/api/v1/auth/logout', { method: 'POST', body: JSON.stringify({ refresh_token: refresh }) });
assert(typeof out.message === 'string', out);
const gone = await request('/api/v1/tasks').then(() => 200, (error) => error.status);
assert(gone === 401, 'after logout:', gone);
console.log('all well');
