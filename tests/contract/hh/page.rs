//! The callback page in a real browser: shown, readable in both languages, its button works, and nothing stands against
//! its content security policy. Without Chromium on the machine these tests say so and pass.

use serde_json::{Value, json};

use crate::support::{
    browser::Browser,
    hh::{House, Wish},
    upstream::{Answer, Upstream},
};

/// The person's way in a browser, as far as the page. The stub sends nobody back by itself, so the test does.
async fn log_in(browser: &mut Browser, house: &House, language: &str) -> (String, String) {
    let person = house.person().await;
    browser.language(language);
    let base = house.gateway.url();
    // The browser keeps the cookie of the login; the provider's page is of no interest.
    let at = browser.open(&format!("{base}/auth/login"));
    assert!(at.contains("/authorize?"), "the browser was sent to the provider: {at}");
    let state = at.split("state=").nth(1).unwrap().split('&').next().unwrap();
    browser.open(&format!("{base}/auth/callback?code=code-{person}&state={state}"));
    let code = browser.value("document.getElementById('exchange-code').value");
    (person, code.as_str().expect("a value").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_code_and_its_button_copies_it() {
    let Some(mut browser) = Browser::start() else { return };
    let house = House::shared();
    for (language, title, copied) in [
        ("ru-RU,ru;q=0.9,en;q=0.8", "Вход выполнен", "Скопировано."),
        ("en-GB,en;q=0.9", "You are logged in", "Copied."),
        ("de-DE,de;q=0.9", "You are logged in", "Copied."),
    ] {
        let (_, code) = log_in(&mut browser, house, language).await;
        assert_eq!(browser.value("document.querySelector('h1').textContent"), title);
        // Styles apply: the input has the border that only the style sheet gives.
        let radius = "getComputedStyle(document.getElementById('exchange-code')).borderRadius";
        assert_eq!(browser.value(radius), "8px");
        browser.allow_clipboard(&house.gateway.url());
        browser.click("copy");
        let told = "document.getElementById('copied').textContent";
        browser.wait_for(told, copied);
        let read = browser.value("navigator.clipboard.readText()");
        assert_eq!(read, code.as_str());
        // The code is the real one.
        let reply = house.caller().post("/auth/exchange", json!({"exchange_code": code})).await;
        reply.expect(200);
        assert_eq!(browser.violations(), Vec::<String>::new());
    }
}

/// What the guide's browser code does: reads the element, trades the code, keeps the session in a cookie of its own, and asks
/// for a token.
const BROWSER_CODE: &str = r"(async () => {
    const post = async (path, body) => {
        const reply = await fetch(path, {
            method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
        });
        if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
        return reply.json();
    };
    const exchange_code = document.getElementById('exchange-code').value;
    const { session_id, expires_at } = await post('/auth/exchange', { exchange_code });
    document.cookie = `session_id=${session_id}; expires=${new Date(expires_at).toUTCString()}; path=/`;
    const { access_token } = await post('/auth/token', { session_id });
    const me = await (await fetch(`/users/me?session_id=${session_id}`)).json();
    return { access_token, hh_user_id: me.hh_user_id, kept: document.cookie.includes(session_id) };
})()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_browser_code_of_the_guide_trades_the_code_on_the_page() {
    let Some(mut browser) = Browser::start() else { return };
    let house = House::shared();
    let (person, _) = log_in(&mut browser, house, "en").await;
    let told = browser.value(BROWSER_CODE);
    assert_eq!(told["hh_user_id"], person.as_str());
    assert!(told["access_token"].as_str().unwrap().starts_with(&format!("access-{person}")));
    assert_eq!(told["kept"], true);
    assert_eq!(browser.violations(), Vec::<String>::new());
}

/// The same on a page of somebody else's, which got the code in its address.
const ELSEWHERE: &str = r"(async () => {
    const post = async (path, body) => {
        const reply = await fetch(GATEWAY + path, {
            method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
        });
        if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
        return [await reply.json(), reply.headers.get('X-RateLimit-Limit')];
    };
    const exchange_code = new URLSearchParams(location.search).get('exchange_code');
    try {
        const [{ session_id }] = await post('/auth/exchange', { exchange_code });
        const [{ access_token }, limit] = await post('/auth/token', { session_id });
        const me = await (await fetch(`${GATEWAY}/users/me?session_id=${session_id}`)).json();
        return { access_token, limit, hh_user_id: me.hh_user_id };
    } catch (error) { return { error: error.name }; }
})()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_trades_the_code_if_the_operator_lists_it() {
    let Some(mut browser) = Browser::start() else { return };
    let house = House::start(Wish { limited: true, ..Wish::default() });
    let page = ("Content-Type", "text/html");
    let listed = Upstream::with(move |_| Answer::new(200, &[page], "<h1>a page</h1>"));
    let file = std::fs::read_to_string(&house.gateway.config).unwrap();
    let own = |origin: &str| {
        let login = format!("[mount.login]\nredirect_page = \"{origin}/hh\"");
        let cors = format!("dialect = \"hh\"\ncors = {{ origins = [\"{}\"] }}", listed.url());
        let text = file.replace("[mount.login]", &login).replace("dialect = \"hh\"", &cors);
        std::fs::write(&house.gateway.config, text).unwrap();
        house.gateway.cli_ok(&["reload"]);
    };
    let base = house.gateway.url();
    let code = ELSEWHERE.replace("GATEWAY", &format!("'{base}'"));
    let person = house.person().await;

    own(&listed.url());
    let at = browser.open(&format!("{base}/auth/login"));
    let state = at.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let at = browser.open(&format!("{base}/auth/callback?code=code-{person}&state={state}"));
    assert!(at.starts_with(&format!("{}/hh?exchange_code=", listed.url())), "{at}");
    let told = browser.value(&code);
    assert_eq!(told["hh_user_id"], person.as_str(), "{told}");
    assert!(told["access_token"].as_str().unwrap().starts_with(&format!("access-{person}")));
    assert_eq!(told["limit"], "100", "limits can be read there as well");

    // The same server by another name is another origin, and not listed.
    let other = listed.url().replace("127.0.0.1", "localhost");
    own(&other);
    let at = browser.open(&format!("{base}/auth/login"));
    let state = at.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let at = browser.open(&format!("{base}/auth/callback?code=code-{person}&state={state}"));
    assert!(at.starts_with(&other), "{at}");
    assert_eq!(browser.value(&code), json!({"error": "TypeError"}));
}

// requirement: 37
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_slipped_into_the_page_does_not_run() {
    let Some(mut browser) = Browser::start() else { return };
    let house = House::shared();
    log_in(&mut browser, house, "en").await;
    let inject = "(() => { const s = document.createElement('script'); \
                  s.textContent = 'window.slipped = 1'; document.body.append(s); \
                  return String(window.slipped); })()";
    assert_eq!(browser.value(inject), "undefined");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_a_page_that_leads_back_to_the_login() {
    let Some(mut browser) = Browser::start() else { return };
    let house = House::shared();
    browser.language("ru");
    let base = house.gateway.url();
    browser.open(&format!("{base}/auth/callback?code=x&state=nonsense"));
    assert_eq!(browser.value("document.querySelector('h1').textContent"), "Войти не удалось");
    let href = browser.value("document.querySelector('a').href");
    assert_eq!(href, Value::from(format!("{base}/auth/login")));
    assert_eq!(browser.violations(), Vec::<String>::new());
}
