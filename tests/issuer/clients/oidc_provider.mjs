// A real provider: `oidc-provider` with client credentials, whose access tokens are JWTs for one audience and opaque for
// another. Prints its address when it listens, and ends with its standard input.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const jwk = (kid, key) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' });
const rsa = { ...jwk('rsa', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey), alg: 'RS256' };
const ec = { ...jwk('ec', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), alg: 'ES256' };

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const client = (id, rest) => ({
    client_id: id,
    client_secret: `${id}-secret-of-the-tests-0123456789`,
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'client_secret_basic',
    ...rest,
  });
  const provider = new Provider(issuer, {
    clients: [client('app'), client('gateway')],
    jwks: { keys: [rsa, ec] },
    scopes: ['READ', 'WRITE'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:jwt',
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'READ WRITE',
          audience: 'api',
          accessTokenTTL: 600,
          ...(resource === 'urn:opaque'
            ? { accessTokenFormat: 'opaque' }
            : { accessTokenFormat: 'jwt', jwt: { sign: { alg: resource === 'urn:ec' ? 'ES256' : 'RS256' } } }),
        }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
process.stdin.resume().on('end', () => process.exit(0));
