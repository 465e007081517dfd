//! The guide's front end: axios in a real browser, on a page of another origin. Without Chromium on the machine this test
//! says so and passes.

use serde_json::json;

use crate::support::{
    archon::{PASSWORD, configuration, person},
    browser::Browser,
    gateway::Gateway,
    programs,
    upstream::{Answer, Upstream},
};

/// What the guide's hook does: logs in, shows `error.message`, keeps the access token; and a renewal by the cookie, which is
/// all that a script in a browser has (trap 10).
const HOOK: &str = r"(async ({ base, email, password }) => {
    const http = axios.create({
        baseURL: `${base}/api/v2`, withCredentials: true, headers: { 'Content-Type': 'application/json' },
    });
    const message = (work) => work.then(
        () => 'no error', (error) => error.response?.data?.error?.message ?? `unreadable: ${error.message}`,
    );
    const wrong = await message(http.post('/auth/login', { email, password: 'wrong' }));
    let login;
    try { login = await http.post('/auth/login', { email, password, rememberMe: false }); }
    catch (error) { return { wrong, failed: error.message }; }
    const session = login.data.data;
    http.defaults.headers.common.Authorization = `Bearer ${session.accessToken}`;
    const me = await http.get('/users/me');
    const renewed = await http.post('/auth/refresh', {});
    await http.post('/auth/logout');
    const after = await message(http.get('/users/me'));
    return {
        wrong, after, email: me.data.data.email, limit: Number(me.headers['x-ratelimit-limit']) > 0,
        seen: document.cookie, renewed: renewed.data.data.accessToken.split('.').length,
    };
})";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn a_front_end_of_a_listed_origin_logs_in_with_axios() {
    let axios = std::fs::read(programs::package("node/node_modules/axios/dist/axios.min.js"));
    let axios = axios.expect("axios for browsers");
    let Some(mut browser) = Browser::start() else { return };
    let site = Upstream::with(move |request| match request.target().as_str() {
        "/axios.js" => Answer::new(200, &[("Content-Type", "text/javascript")], &axios),
        _ => Answer::new(200, &[("Content-Type", "text/html")], "<script src=axios.js></script>"),
    });
    let gateway = Gateway::start(|places| {
        let text = configuration(places, &site.url(), "");
        let listed = format!("cors = {{ credentials = true, origins = [\"{}\"] }}", site.url());
        text.replace("cors = { origins = [\"https://app.example.org\"] }", &listed)
    });
    let email = person(&gateway, &["user"]);
    let facts = json!({"base": gateway.url(), "email": email, "password": PASSWORD});
    let code = format!("{HOOK}({facts})");

    browser.open(&site.url());
    let told = browser.value(&code);
    let text = |field: &str| told[field].as_str().unwrap_or_else(|| panic!("{field}: {told}"));
    assert_eq!(text("email"), email);
    assert_eq!((told["renewed"].as_u64(), told["limit"].as_bool()), (Some(3), Some(true)));
    assert_eq!(text("seen"), "", "no script sees the refresh token");
    for field in ["wrong", "after"] {
        assert!(!text(field).starts_with("unreadable") && text(field) != "no error", "{told}");
    }

    // By another name it is another origin, and not listed: neither error nor token can be read.
    browser.open(&site.url().replace("127.0.0.1", "localhost"));
    let told = browser.value(&code);
    assert!(told["wrong"].as_str().unwrap().starts_with("unreadable"), "{told}");
    assert_eq!(told["failed"], "Network Error");
}
