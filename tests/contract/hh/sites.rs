//! Sites as the guide's "Django Integration", "Flask Integration" and "FastAPI Integration", with the real frameworks, in
//! front of a real gateway. The test is the browser.

use std::{collections::BTreeMap, sync::Mutex};

use serde_json::{Value, json};

use crate::support::{
    client::Client,
    hh::{House, Wish, stranger},
    programs,
    site::Site,
    wait::until,
    wire::Reply,
};

/// A site of this house's people.
fn serve(kind: &str, name: &str, house: &House) -> Site {
    let mut python = programs::python();
    python.env("AUTH_SERVICE_URL", house.gateway.url());
    python.env("HH_API_URL", house.provider.upstream.url());
    Site::start(python, kind, "hh", name)
}

/// A gateway that sends people back to a site's `/callback`, and the site.
fn site(name: &str) -> (House, Site) {
    let house = House::start(Wish::default());
    let site = serve("wsgi", name, &house);
    let file = std::fs::read_to_string(&house.gateway.config).unwrap();
    let page = format!("[mount.login]\nredirect_page = \"{}\"", site.at("/callback"));
    std::fs::write(&house.gateway.config, file.replace("[mount.login]", &page)).unwrap();
    house.gateway.cli_ok(&["reload"]);
    (house, site)
}

/// Keeps cookies by host, whatever the port, and follows redirects, as browsers do.
#[derive(Default)]
struct Visitor {
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Visitor {
    /// Goes there and on, up to an answer that is no redirect; every address on the way.
    async fn open(&self, url: &str) -> (Vec<String>, Reply) {
        let mut way = vec![url.to_owned()];
        loop {
            let at = way.last().unwrap().clone();
            let reply = self.client().get(&at).await;
            self.keep(&reply);
            let Some(location) = reply.header("location") else { return (way, reply) };
            let origin: Vec<_> = at.splitn(4, '/').collect();
            let next = match location.starts_with('/') {
                true => format!("{}//{}{location}", origin[0], origin[2]),
                false => location.to_owned(),
            };
            way.push(next);
            assert!(way.len() < 10, "in circles: {way:?}");
        }
    }

    /// The same where the answer must be JSON with this status.
    async fn read(&self, url: &str, status: u16) -> Value {
        self.open(url).await.1.expect(status).json()
    }

    fn client(&self) -> Client {
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match pairs.is_empty() {
            true => Client::at(""),
            false => Client::at("").with("Cookie", &pairs.join("; ")),
        }
    }

    fn keep(&self, reply: &Reply) {
        for line in reply.all("set-cookie") {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let gone = line.contains("Max-Age=0") || line.contains("01 Jan 1970");
            let mut cookies = self.cookies.lock().unwrap();
            match gone {
                true => cookies.remove(name),
                false => cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    /// From the site's login through the gateway to the provider, which this person agrees to, and back.
    async fn log_in(&self, house: &House, site: &Site, person: &str) -> (Vec<String>, Reply) {
        let (way, _) = self.open(&site.at("/login")).await;
        assert_eq!(way[1], format!("{}/auth/login", house.gateway.url()));
        let consent = way.last().unwrap();
        assert!(consent.starts_with(&format!("{}/authorize?", house.provider.upstream.url())));
        let state = consent.split("state=").nth(1).unwrap().split('&').next().unwrap();
        let back = format!("/auth/callback?code=code-{person}&state={state}");
        self.open(&format!("{}{back}", house.gateway.url())).await
    }
}

/// What both kinds of sites hold to; `who` is the view that tells of the visitor, and what it tells a stranger.
async fn people_log_in(house: &House, site: &Site, who: &str, session: impl Fn(&Visitor) -> bool) {
    let (person, visitor) = (house.person().await, Visitor::default());
    let (way, _) = visitor.log_in(house, site, &person).await;
    let callback = way[1].clone();
    assert!(callback.starts_with(&site.at("/callback?exchange_code=")), "{way:?}");
    assert_eq!(way.last().unwrap(), &site.at("/"), "the code does not stay in the address");
    assert!(session(&visitor));
    let shown = visitor.read(&site.at(who), 200).await.to_string();
    assert!(shown.contains(&person) && shown.contains("Иван Петров"), "{shown}");

    // The site calls a service behind the gateway for its visitor.
    house.backend.forget();
    visitor.read(&site.at("/tasks"), 200).await;
    assert_eq!(house.backend.only().field("x-auth-username"), Some(format!("hh:{person}")));
    assert_eq!(Visitor::default().open(&site.at("/tasks")).await.1.status, 401);

    // Back in the history: the code is spent, and the visitor stays logged in.
    let spent = visitor.open(&callback).await.1.expect(400);
    assert_eq!(spent.str("error"), "Exchange failed");
    visitor.read(&site.at(who), 200).await;
    visitor.open(&site.at("/callback")).await.1.expect(400);

    // Who is not on the list does not come back to the site at all.
    let unknown = stranger();
    let (way, refused) = Visitor::default().log_in(house, site, &unknown).await;
    assert_eq!((refused.status, way.len()), (403, 1));

    // Two visitors side by side.
    let (second, guest) = (house.person().await, Visitor::default());
    guest.log_in(house, site, &second).await.1.expect(200);
    assert!(guest.read(&site.at(who), 200).await.to_string().contains(&second));
    assert!(visitor.read(&site.at(who), 200).await.to_string().contains(&person));

    visitor.open(&site.at("/logout")).await.1.expect(200);
    assert!(!session(&visitor));
    assert!(guest.read(&site.at(who), 200).await.to_string().contains(&second));
    let listed = house.admin().get("/admin/sessions").await.expect(200).json();
    assert_eq!(listed["total"], 1, "the visitor's has ended at the gateway too: {listed}");
    let handle = listed["sessions"][0]["id"].as_str().unwrap();
    house.admin().delete(&format!("/admin/sessions/{handle}")).await.expect(200);
    let shown = guest.open(&site.at(who)).await.1.text();
    assert!(!shown.contains(&second), "ended by the administrator: {shown}");
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn people_log_in_at_a_django_site() {
    let (house, site) = site("django_site.py");
    assert_eq!(Visitor::default().read(&site.at("/"), 200).await, json!({"user": null}));
    let own = |visitor: &Visitor| visitor.cookies.lock().unwrap().contains_key("hh_session_id");
    people_log_in(&house, &site, "/", own).await;

    // The site's cookie is the mount's own: the visitor's browser may call the gateway without the site.
    let (person, visitor) = (house.person().await, Visitor::default());
    visitor.log_in(&house, &site, &person).await;
    house.backend.forget();
    visitor.read(&format!("{}/api/tasks", house.gateway.url()), 200).await;
    assert_eq!(house.backend.only().field("x-auth-username"), Some(format!("hh:{person}")));
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn people_log_in_at_a_flask_site() {
    let (house, site) = site("flask_site.py");
    let stranger = Visitor::default();
    assert_eq!(stranger.read(&site.at("/"), 200).await, json!({"logged_in": false}));
    assert_eq!(stranger.read(&site.at("/me"), 401).await["error"], "Not authenticated");
    let own = |visitor: &Visitor| visitor.cookies.lock().unwrap().contains_key("session");
    people_log_in(&house, &site, "/me", own).await;
}

#[tokio::test]
#[ignore = "needs the packages of scripts/programs.sh"]
async fn a_fastapi_service_knows_its_callers() {
    let house = House::start(Wish::default());
    let site = serve("asgi", "fastapi_site.py", &house);
    let (person, session) = house.session().await;
    let caller = Client::at(&site.url).with("Cookie", &format!("session_id={session}"));
    let hello = caller.get("/protected").await.expect(200);
    assert_eq!(hello.str("message"), "Hello, Иван Петров!");
    let resumes = caller.get("/hh-resumes").await.expect(200);
    assert_eq!((resumes.str("of"), resumes.str("by")), (person.clone(), person.clone()));
    caller.get("/tasks").await.expect(200);
    assert_eq!(house.backend.only().field("x-auth-username"), Some(format!("hh:{person}")));

    let nobody = Client::at(&site.url);
    assert_eq!(nobody.get("/protected").await.expect(401).str("detail"), "Not authenticated");
    for value in ["nonsense", "%00", "a%20b%26c", ""] {
        let stranger = nobody.with("Cookie", &format!("session_id={value}"));
        assert_eq!(stranger.get("/protected").await.status, 401, "{value}");
    }

    // The provider's token ends: the service gets a new one without knowing of it.
    house.provider.next_life(&person, 0);
    let session = house.session_of(&person).await;
    let late = nobody.with("Cookie", &format!("session_id={session}"));
    until("the token is renewed", || async {
        let reply = late.get("/hh-resumes").await;
        assert!([200, 502].contains(&reply.status), "{}: {}", reply.status, reply.text());
        (reply.status == 200).then_some(())
    })
    .await;
    assert_eq!(house.provider.refreshes(&person).len(), 1);

    house.caller().post("/auth/logout", json!({"session_id": session})).await.expect(200);
    assert_eq!(late.get("/protected").await.expect(401).str("detail"), "Invalid session");
    caller.get("/protected").await.expect(200);
}
