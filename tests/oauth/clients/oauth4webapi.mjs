// oauth4webapi and jose: strict readers of every answer, and of the tokens themselves (RFC 9068).
import assert from 'node:assert/strict'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, SERVICE_ID, SERVICE_SECRET, LOGIN } = process.env
const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(ISSUER)
const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure })
const as = await oauth.processDiscoveryResponse(issuer, found)
const client = { client_id: CLIENT_ID }
const proof = oauth.ClientSecretBasic(CLIENT_SECRET)

const asked = await oauth.clientCredentialsGrantRequest(as, client, proof, { scope: 'READ WRITE' }, insecure)
const granted = await oauth.processClientCredentialsResponse(as, client, asked)

// A resource server: the library's own rules for JWT access tokens.
const request = new Request(`${ISSUER}/anybody/x`, { headers: { authorization: `Bearer ${granted.access_token}` } })
const said = await oauth.validateJwtAccessToken(as, request, ISSUER, insecure)
assert.equal(said.client_id, CLIENT_ID)
assert.equal(said.sub, CLIENT_ID)

const keys = jose.createRemoteJWKSet(new URL(as.jwks_uri))
const { payload, protectedHeader } = await jose.jwtVerify(granted.access_token, keys, {
  issuer: ISSUER,
  audience: ISSUER,
  typ: 'at+jwt',
  algorithms: ['ES256'],
  requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id', 'scope'],
})
assert.equal(protectedHeader.typ, 'at+jwt')
assert.equal(payload.scope, 'READ WRITE')

const service = { client_id: SERVICE_ID }
const introspect = async (token) => {
  const proof = oauth.ClientSecretPost(SERVICE_SECRET)
  const reply = await oauth.introspectionRequest(as, service, proof, token, insecure)
  return oauth.processIntrospectionResponse(as, service, reply)
}
assert.equal((await introspect(granted.access_token)).active, true)

const exchanged = await oauth.genericTokenEndpointRequest(
  as,
  client,
  proof,
  'urn:ietf:params:oauth:grant-type:token-exchange',
  {
    subject_token: LOGIN,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    scope: 'READ',
  },
  insecure,
)
const narrower = await oauth.processGenericTokenEndpointResponse(as, client, exchanged)
assert.equal(narrower.scope, 'READ')

await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, proof, granted.access_token, insecure))
assert.equal((await introspect(granted.access_token)).active, false)
const passes = await fetch(`${ISSUER}/anybody/x`, { headers: { authorization: `Bearer ${granted.access_token}` } })
assert.equal(passes.status, 401)

// A protected resource, found from the challenge alone (RFC 9728).
const resource = await oauth.resourceDiscoveryRequest(new URL(`${ISSUER}/api`), insecure)
const about = await oauth.processResourceDiscoveryResponse(new URL(`${ISSUER}/api`), resource)
assert.deepEqual(about.authorization_servers, [ISSUER])
