// As the guide's "JavaScript/TypeScript SDK": axios, camelCase, a refresh inside the response interceptor that goes through
// the same interceptor, the refresh token out of `Set-Cookie`.
import axios from 'axios';

const [base, email, password] = process.argv.slice(2);
const check = (good, what) => {
  if (!good) throw new Error(what);
};

class ArchonAuthClient {
  constructor(baseURL) {
    this.requests = 0;
    this.http = axios.create({
      baseURL,
      timeout: 10000,
      headers: { 'Content-Type': 'application/json', 'User-Agent': 'ArchonAuthClient/2.0.0' },
    });
    this.http.interceptors.request.use((config) => {
      this.requests += 1;
      if (this.requests > 60) throw new Error('endless');
      if (this.accessToken) config.headers.Authorization = `Bearer ${this.accessToken}`;
      return config;
    });
    this.http.interceptors.response.use(
      (response) => response,
      async (error) => {
        if (error.response?.status === 401 && this.refreshToken) {
          await this.refresh();
          error.config.headers.Authorization = `Bearer ${this.accessToken}`;
          return this.http.request(error.config);
        }
        throw error;
      },
    );
  }

  async login(credentials) {
    const response = await this.http.post('/auth/login', credentials);
    const { success, data, error } = response.data;
    if (!success) throw new Error(error.message);
    this.accessToken = data.accessToken;
    const cookie = response.headers['set-cookie']?.find((line) => line.startsWith('refresh_token='));
    if (cookie) this.refreshToken = cookie.split(';')[0].split('=')[1];
    return data;
  }

  async refresh() {
    const response = await this.http.post('/auth/refresh', { refreshToken: this.refreshToken });
    this.accessToken = response.data.data.accessToken;
  }

  async call(method, url, data) {
    const response = await this.http.request({ method, url, data });
    return response.data.data;
  }
}

const fails = async (work, status, code) => {
  try {
    await work();
  } catch (error) {
    check(error.response?.status === status, `status ${error.response?.status}, not ${status}: ${error}`);
    check(error.response.data.error.code === code, `code ${error.response.data.error.code}`);
    check(typeof error.response.data.error.traceId === 'string', 'no traceId');
    return;
  }
  throw new Error(`no failure with ${status}`);
};

for (const prefix of ['', '/v2', '/api/v2']) {
  const client = new ArchonAuthClient(base + prefix);
  const login = await client.login({
    email, password, rememberMe: true, deviceInfo: { deviceId: 'd', userAgent: 'node', location: 'here' },
  });
  check(login.expiresIn === 3600 && login.user.isActive === true, 'login');
  check(client.refreshToken.split('.').length === 3, 'the refresh token out of the cookie');

  const me = await client.call('get', '/users/me');
  check(me.email === email && me.createdAt.endsWith('Z') && 'lastLogin' in me, 'profile');
  const sessions = await client.call('get', '/users/me/sessions');
  check(Array.isArray(sessions) && sessions[0].deviceInfo !== undefined && sessions[0].lastAccessed, 'sessions');
  const agent = await client.call('post', '/auth/agents/authenticate', {
    agentType: 'code_implementer', capabilitiesRequested: ['file:read', 'shell:execute'], taskContext: { taskId: 't' },
  });
  check(agent.agentToken && agent.expiresIn === 3600, 'agent');
  check(agent.capabilitiesGranted.join() === 'file:read' && agent.capabilitiesDenied.join() === 'shell:execute', 'grant');
  check(Array.isArray(agent.restrictions.file_paths), 'restrictions');

  // An access token that is good no more: one refresh, then on with the same refresh token, twice.
  for (let round = 0; round < 2; round += 1) {
    client.accessToken = 'gone';
    const before = client.requests;
    await client.call('get', '/users/me');
    check(client.requests - before === 3, `${client.requests - before} requests for one refresh`);
  }
  // A wrong current password is no reason to refresh.
  let before = client.requests;
  await fails(() => client.call('put', '/users/me/password', { currentPassword: 'x', newPassword: 'y' }), 400, 'VALIDATION_ERROR');
  check(client.requests - before === 1, 'a wrong password was tried again');

  // The session is ended elsewhere.
  const elsewhere = new ArchonAuthClient(base + prefix);
  await elsewhere.login({ email, password });
  await elsewhere.call('delete', `/users/me/sessions/${login.sessionId}`);
  before = client.requests;
  await fails(() => client.call('get', '/users/me'), 429, 'RATE_LIMIT_EXCEEDED');
  check(client.requests - before <= 5, `${client.requests - before} requests after the end of the session`);
  await elsewhere.call('post', '/auth/logout');
}
console.log('ok');
