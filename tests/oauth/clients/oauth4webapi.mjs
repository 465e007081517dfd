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

// A browser with a person before it: shows the page, types name and password, and is sent back.
async function browser(url) {
  const shown = await fetch(url, { redirect: 'manual' })
  assert.equal(shown.status, 200)
  const cookie = shown.headers.get('set-cookie').split(';')[0]
  const page = await shown.text()
  const hidden = (name) =>
    page.split(`name="${name}" value="`)[1].split('"')[0].replaceAll('&amp;', '&').replaceAll('&quot;', '"')
  const body = new URLSearchParams({
    request: hidden('request'),
    proof: hidden('proof'),
    username: process.env.NAME,
    password: process.env.PASSWORD,
  })
  const sent = await fetch(`${ISSUER}/oauth/authorize`, { method: 'POST', body, headers: { cookie }, redirect: 'manual' })
  assert.equal(sent.status, 303)
  return new URL(sent.headers.get('location'))
}

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const redirect = process.env.REDIRECT_URI
const to = new URL(as.authorization_endpoint)
for (const [name, value] of Object.entries({
  client_id: CLIENT_ID,
  redirect_uri: redirect,
  response_type: 'code',
  scope: 'READ',
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
})) {
  to.searchParams.set(name, value)
}
// Holds state and `iss` (RFC 9207) against what it sent and knows.
const answer = oauth.validateAuthResponse(as, client, await browser(to), state)
const traded = await oauth.authorizationCodeGrantRequest(as, client, proof, answer, redirect, verifier, insecure)
const logged = await oauth.processAuthorizationCodeResponse(as, client, traded)
const login = await jose.jwtVerify(logged.access_token, keys, { issuer: ISSUER, audience: ISSUER, typ: 'at+jwt' })
assert.equal(login.payload.username, process.env.NAME)
const again = await oauth.refreshTokenGrantRequest(as, client, proof, logged.refresh_token, insecure)
const renewed = await oauth.processRefreshTokenResponse(as, client, again)
assert.notEqual(renewed.refresh_token, logged.refresh_token)
