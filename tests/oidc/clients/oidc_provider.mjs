// A real provider: `oidc-provider` with its own pages for login and consent, sessions, and logout by back channel. Prints its address
// when it listens; each line of its standard input is the address of the gateway that relies on it. Ends with its input.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsa = { ...privateKey.export({ format: 'jwk' }), kid: 'rsa', use: 'sig', alg: 'RS256' };

let serve;
const known = new Promise((resolve) => { serve = resolve; });
const server = createServer(async (request, response) => (await known)(request, response));

const providerFor = (issuer, gateway) => {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'portcullis',
      client_secret: process.env.CLIENT_SECRET,
      redirect_uris: [`${gateway}/oidc/callback`],
      post_logout_redirect_uris: [`${gateway}/`],
      backchannel_logout_uri: `${gateway}/oidc/backchannel-logout`,
      backchannel_logout_session_required: true,
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: process.env.CLIENT_AUTH ?? 'client_secret_basic',
    }],
    clientAuthMethods: [process.env.CLIENT_AUTH ?? 'client_secret_basic'],
    jwks: { keys: [rsa] },
    cookies: { keys: ['some keys of the tests'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@corp.example`, email_verified: true }),
    }),
    // The gateway is on this machine.
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  });
  provider.on('backchannel.success', () => console.log('logout: told'));
  provider.on('backchannel.error', (_, error) => console.log(`logout: not told: ${error.message} ${error.cause ?? ''}`));
  provider.on('server_error', (_, error) => console.error(error));
  return provider.callback();
};

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  console.log(issuer);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (gateway) => {
    const next = providerFor(issuer, gateway);
    serve(next);
    server.removeAllListeners('request');
    server.on('request', next);
  });
  lines.on('close', () => process.exit(0));
});
