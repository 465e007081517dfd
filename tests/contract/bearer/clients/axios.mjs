// The flow of the library's documentation with axios. Arguments: base URL, a new address, a superuser and its password.
import axios from 'axios';

const [base, email, superuser, password] = process.argv.slice(2);
const check = (good, what) => {
  if (!good) throw new Error(what);
};
const as = (token) => ({ headers: { Authorization: `Bearer ${token}` } });
const fails = (work, status, detail) => work.then(
  () => { throw new Error(`no failure with ${status}`); },
  (error) => {
    check(error.response?.status === status, `${error.response?.status}, not ${status}: ${error}`);
    check(detail === undefined || error.response.data.detail === detail, JSON.stringify(error.response.data));
  },
);

// The documentation's form: a boundary that axios puts behind the type.
async function logIn(username, secret) {
  const form = new FormData();
  form.set('username', username);
  form.set('password', secret);
  const { data } = await axios.post(`${base}/auth/jwt/login`, form, { headers: { 'Content-Type': 'multipart/form-data' } });
  check(data.token_type === 'bearer', JSON.stringify(data));
  return data.access_token;
}

const made = await axios.post(`${base}/auth/register`, { email, password: 'guinevere' });
check(made.status === 201 && made.data.is_active === true && made.data.is_superuser === false, JSON.stringify(made.data));
const user = `${base}/users/${made.data.id}`;
await fails(axios.post(`${base}/auth/register`, { email, password: 'guinevere' }), 400, 'REGISTER_USER_ALREADY_EXISTS');

let token = await logIn(email, 'guinevere');
const me = await axios.get(`${base}/users/me`, as(token));
check(me.data.email === email && me.data.id === made.data.id, JSON.stringify(me.data));
await axios.patch(`${base}/users/me`, { password: 'lancelot' }, as(token));
await fails(logIn(email, 'guinevere'), 400, 'LOGIN_BAD_CREDENTIALS');
token = await logIn(email, 'lancelot');
await fails(axios.get(user, as(token)), 403, 'Forbidden');

const above = as(await logIn(superuser, password));
check((await axios.get(user, above)).data.email === email, 'the profile of another');
check((await axios.patch(user, { is_superuser: true }, above)).data.is_superuser === true, 'risen');
token = await logIn(email, 'lancelot');
await axios.get(user, as(token));

// Without a body, as axios sends it.
const out = await axios.post(`${base}/auth/jwt/logout`, null, as(token));
check(out.status === 204, `${out.status}`);
await fails(axios.get(`${base}/users/me`, as(token)), 401, 'Unauthorized');
check((await axios.delete(user, above)).status === 204, 'deleted');
await fails(axios.get(user, above), 404);
