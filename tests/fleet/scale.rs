//! What must take no longer however many accounts, keys and sessions there are: a start, a decision, a look-up, a list, and
//! the memory of it all. `PORTCULLIS_SCALE=1000000` for the full curve, which takes minutes; a few thousand without it. With
//! `PORTCULLIS_BINARY` naming a release build the figures are held to what is promised, and not only to their shape.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use portcullis::{
    model::{Clock, SystemClock},
    store::{Options, Postgres, Store},
};
use tempfile::TempDir;

use super::{
    crowd::{Cost, Shown, all_pass},
    masses,
};
use crate::support::{
    client::Client,
    conf::{self, Conf, Table, quoted},
    gateway::{Gateway, Places},
    hh, operate, ports,
    postgres::{self, Server},
    tmws::{self, GOOD_PASSWORD},
    upstream::{Answer, Upstream},
    wait::until,
};

const MASTER: &str = "a-master-key-of-the-tests-about-size-0123456789";
/// What one credential at hand may take, and what a gateway needs to serve at all. In KiB.
const ENTRY: u64 = 2;
const SERVING: u64 = 24 * 1024;
/// Requests of one measurement.
const SAMPLE: usize = 300;
/// A release build starts and answers within this, whatever is in the database.
const START: Duration = Duration::from_secs(2);
/// Tables that grow with the number of people. Nothing may ever read one of them from end to end.
const GROWING: &str = "'account', 'api_key', 'session', 'foreign_identity'";

/// A gateway on a database of its own server, and what stands around it.
struct House {
    gateway: Option<Gateway>,
    places: Places,
    text: String,
    database: String,
    _server: Server,
    _upstream: Upstream,
    _folder: TempDir,
}

impl House {
    /// With so many credentials of each kind at hand.
    fn new(at_hand: usize) -> Self {
        let server = Server::start();
        let database = server.database();
        let upstream = Upstream::counting(|_| Answer::ok());
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_owned();
        let places = Places {
            public: ports::free_address(),
            operator: ports::free_address(),
            data: dir.join("data"),
            dir,
        };
        let text = configuration(&places, &database, &upstream, at_hand);
        House {
            gateway: None,
            places,
            text,
            database,
            _server: server,
            _upstream: upstream,
            _folder: folder,
        }
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("it was started")
    }

    fn stop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop();
        }
    }

    /// Starts the gateway; gives how long it took until the first credential was judged.
    async fn start(&mut self, number: usize) -> Duration {
        self.stop();
        let started = Instant::now();
        self.gateway = Some(Gateway::start_in(&self.places, &self.text));
        let client = Client::at(&self.gateway().url()).key(&masses::key(number));
        client.get("/api/v1/tasks/1").await.expect(200);
        started.elapsed()
    }

    /// Calls of the store by this name, so far.
    async fn calls(&self, operation: &str) -> f64 {
        let text = self.gateway().operator().get("/metrics").await.expect(200).text();
        let name = format!("portcullis_store_calls_total{{op=\"{operation}\",result=\"ok\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(name.as_str()));
        line.map_or(0.0, |count| count.parse().unwrap())
    }

    /// How often a growing table was read from end to end. Nobody may have a connection open.
    fn walks(&self) -> u64 {
        let sql =
            format!("SELECT SUM(seq_scan) FROM pg_stat_user_tables WHERE relname IN ({GROWING})");
        postgres::ask(&self.database, &sql).parse().unwrap()
    }
}

fn configuration(places: &Places, database: &str, upstream: &Upstream, at_hand: usize) -> String {
    let master: PathBuf = places.dir.join("master");
    std::fs::write(&master, MASTER).unwrap();
    mounts(Conf::new(places), places)
        .section(&format!("[store]\nurl = {}", quoted(database)))
        .section("[fleet]\nnode = \"big\"")
        .section(&format!("[secrets]\nmaster_keys = [\"file:{}\"]", master.display()))
        .section("[limiter]\nfailures_per_address = false")
        .section("[log]\naccess = false")
        .section(&format!("[cache]\ntokens = {at_hand}\nkeys = {at_hand}\nsessions = {at_hand}"))
        .upstream("main", &[upstream.address])
        .text()
}

/// Two contracts for the same people: keys and logins of one, sessions of the other, in front of an upstream `main`.
pub fn mounts(conf: Conf, places: &Places) -> Conf {
    let at =
        |prefix: &str| format!("[{{ listener = \"public\", prefixes = [{}] }}]", quoted(prefix));
    let mut people = Table::new("mount", "hh")
        .with("dialect", quoted("hh"))
        .with("realm", quoted("main"))
        .with("at", at("/hh"));
    for line in hh::mount_lines(places, "hh").lines() {
        let (key, value) = line.split_once(" = ").expect("a key");
        people = people.with(key, value);
    }
    conf.mount("realm", &quoted("main"))
        .mount("at", &at("/"))
        .table(people)
        .table(Table::new("limit", "hh-general").with("windows", r#"["1000000/s"]"#))
        .route(conf::tasks("main"))
        .route(
            Table::new("route", "people")
                .with("mount", quoted("hh"))
                .with("match", r#"{ path = "/app/**" }"#)
                .with("authn", r#"["session"]"#)
                .with("upstream", quoted("main")),
        )
}

/// One line of the curve.
#[derive(Debug, Default)]
struct Line {
    number: usize,
    start: Duration,
    new_key: Cost,
    known_key: Cost,
    new_session: Cost,
    known_session: Cost,
    token: Cost,
    sessions_of: Duration,
    newest: Duration,
    keys: Duration,
    memory: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_takes_longer_however_many_keys_and_sessions_there_are() {
    if !postgres::is_there() {
        return;
    }
    let full = std::env::var("PORTCULLIS_SCALE").ok().and_then(|text| text.parse().ok());
    let largest: usize = full.unwrap_or(10_000);
    let strict = full.is_some() && std::env::var_os("PORTCULLIS_BINARY").is_some();
    // So many are walked through: many more than are kept at hand.
    let walk = std::env::var("PORTCULLIS_SCALE_WALK").ok().and_then(|text| text.parse().ok());
    let walk: usize = walk.unwrap_or(if full.is_some() { 60_000 } else { 2_000 });
    let at_hand: usize = if full.is_some() { 20_000 } else { 500 };
    let mut house = House::new(at_hand);
    // The tables, and a password's hash.
    house.gateway = Some(Gateway::start_in(&house.places, &house.text));
    operate::add_user(house.gateway(), "ada", &["USER"]);
    house.stop();
    let hash = postgres::ask(&house.database, "SELECT password_hash FROM account");

    let mut lines: Vec<Line> = Vec::new();
    let (mut filled, mut size) = (0, 1_000);
    while size <= largest {
        let began = Instant::now();
        masses::fill_database(&house.database, &(filled..size), &hash);
        println!("{size} of each, {:.1?} to fill in", began.elapsed());
        filled = size;
        lines.push(measure(&mut house, size, walk.min(size)).await);
        size *= 10;
    }
    print(&lines);
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    let bound = SERVING + 2 * at_hand as u64 * ENTRY;
    assert!(last.memory <= bound, "{} KiB more than idle, {bound} at most", last.memory);
    // A machine that is busy with others may make anything three times as slow; what grows with the number is far beyond.
    let bounds = [
        ("a start", first.start, last.start),
        ("a key that is not known", first.new_key.cpu, last.new_key.cpu),
        ("a session that is not known", first.new_session.cpu, last.new_session.cpu),
        ("a known key", first.known_key.cpu, last.known_key.cpu),
        ("a known session", first.known_session.cpu, last.known_session.cpu),
        ("sessions of one", first.sessions_of, last.sessions_of),
        ("newest sessions", first.newest, last.newest),
        ("a page of keys", first.keys, last.keys),
    ];
    for (what, before, after) in bounds {
        assert!(after <= before * 3 + Duration::from_millis(2), "{what}: {before:?}, {after:?}");
    }
    if strict {
        assert!(last.start <= START, "{:?} until the first answer", last.start);
    }
    ended(&mut house, filled, strict).await;
    swept(&mut house, filled).await;
}

async fn measure(house: &mut House, size: usize, walk: usize) -> Line {
    // The statistics of the server count what is over when nobody is connected.
    house.stop();
    let walks = house.walks();
    // Of the numbers that nothing else asks for.
    let spare = size - 1;
    let start = house.start(spare).await;
    let idle = house.gateway().data_kib();
    let gateway = house.gateway();
    let mut line = Line { number: size, start, ..Line::default() };
    let half = size / 2;

    let asked = house.calls("key").await;
    line.new_key = all_pass(gateway, SAMPLE, 1, |n| Shown::Key.request(&masses::key(n))).await;
    assert_eq!(house.calls("key").await - asked, SAMPLE as f64, "one look-up for each");
    line.known_key = all_pass(gateway, SAMPLE, 1, |_| Shown::Key.request(&masses::key(7))).await;
    assert!(house.calls("key").await - asked <= SAMPLE as f64 + 1.0, "none for what is known");

    let asked = house.calls("foreign_session").await;
    line.new_session =
        all_pass(gateway, SAMPLE, 1, |n| Shown::Session.request(&masses::session(n))).await;
    assert_eq!(house.calls("foreign_session").await - asked, SAMPLE as f64);
    line.known_session =
        all_pass(gateway, SAMPLE, 1, |_| Shown::Session.request(&masses::session(7))).await;
    let again = house.calls("foreign_session").await - asked;
    assert!(again <= SAMPLE as f64 + 2.0, "none for what is known: {again}");

    let client = Client::at(&gateway.url());
    let tokens = tmws::login(&client, "ada", GOOD_PASSWORD).await;
    line.token = all_pass(gateway, SAMPLE, 1, move |_| {
        let head = "GET /api/v1/tasks/1 HTTP/1.1\r\nhost: gate.example\r\nauthorization: Bearer";
        format!("{head} {}\r\n\r\n", tokens.access).into_bytes()
    })
    .await;

    let name = masses::username(half);
    line.sessions_of = listed(gateway, &format!("/v1/sessions?user={name}"), "sessions").await;
    line.newest = listed(gateway, "/v1/sessions", "sessions").await;
    line.keys = listed(gateway, "/v1/keys?mount=api", "keys").await;

    // Everybody comes, in no order, over several connections.
    let step = 7_919;
    for shown in [Shown::Key, Shown::Session] {
        let of = move |n: usize| match shown {
            Shown::Key => masses::key(n),
            Shown::Session => masses::session(n),
        };
        let began = Instant::now();
        all_pass(gateway, walk, 8, move |n| shown.request(&of((n * step) % size))).await;
        println!("  {walk} of them by {shown:?}, {:.1?}", began.elapsed());
    }
    line.memory = gateway.data_kib().saturating_sub(idle);
    house.stop();
    let walks = house.walks() - walks;
    // The planner may well read a small table as a whole.
    assert!(size < 10_000 || walks == 0, "{walks} walks over tables that grow");
    line
}

/// Half of ten times that an operator asks.
async fn listed(gateway: &Gateway, path: &str, what: &str) -> Duration {
    let (operator, mut times) = (gateway.operator(), Vec::new());
    // More often than it takes until the server plans a statement for all values alike.
    for _ in 0..12 {
        let began = Instant::now();
        let reply = operator.get(path).await.expect(200);
        times.push(began.elapsed());
        let found = reply.json()[what].as_array().map_or(0, Vec::len);
        assert!((1..=1000).contains(&found), "{path}: {found}");
    }
    times.sort();
    times[times.len() / 2]
}

/// A tenth of all sessions end at once, behind the gateway's back.
async fn ended(house: &mut House, size: usize, strict: bool) {
    house.start(0).await;
    let (before, count) = (house.gateway().data_kib(), size / 10);
    let client = |number: usize| {
        let cookie = format!("hh_session_id={}", masses::session(number));
        Client::at(&house.gateway().url()).with("Cookie", &cookie)
    };
    client(0).get("/hh/app/x").await.expect(200);
    let (began, now) = (Instant::now(), SystemClock.now().millis());
    let sql = format!(
        "UPDATE session SET ended_at = {now} WHERE id IN \
         (SELECT id FROM session WHERE mount = 'hh' ORDER BY created_at LIMIT {count})"
    );
    postgres::ask(&house.database, &sql);
    let written = began.elapsed();
    for number in [0, count / 2, count - 1] {
        until("it is refused", || async {
            (client(number).get("/hh/app/x").await.status == 401).then_some(())
        })
        .await;
    }
    let known = began.elapsed().saturating_sub(written);
    client(count).get("/hh/app/x").await.expect(200);
    let grown = house.gateway().data_kib().saturating_sub(before);
    let start = house.start(count).await;
    println!(
        "{count} sessions ended at once: {written:.1?} in the database, known {known:.1?} later, \
         {} KiB more, a start with them {start:.1?}",
        grown
    );
    let each = grown * 1024 / u64::try_from(count).unwrap();
    // Of few of them the surroundings cost more than they do.
    assert!(count < 100_000 || each <= 400, "{each} bytes for each");
    let gone = Client::at(&house.gateway().url())
        .with("Cookie", &format!("hh_session_id={}", masses::session(count / 2)));
    gone.get("/hh/app/x").await.expect(401);
    if strict {
        assert!(start <= START, "{start:?} until the first answer");
    }
}

/// A week later they are swept out, while somebody else writes.
async fn swept(house: &mut House, size: usize) {
    house.stop();
    let longest = std::sync::Arc::new(std::sync::Mutex::new(Duration::ZERO));
    let told = longest.clone();
    let options = Options {
        on_call: Some(std::sync::Arc::new(move |_, ok, took| {
            assert!(ok, "every part is done in time");
            let mut longest = told.lock().unwrap();
            *longest = took.max(*longest);
        })),
        ..Options::default()
    };
    let at = Postgres {
        url: house.database.parse().unwrap(),
        password: None,
        node: "sweeper".into(),
        hold: Duration::from_secs(5),
    };
    let store = Store::connect(&at, options).await.unwrap();
    let (day, began) = (Duration::from_secs(24 * 3600), Instant::now());
    let swept = store.sweep(SystemClock.now() + day * 8, day * 7).await.unwrap();
    store.close().await;
    println!(
        "{} sessions and {} changes swept out in {:.1?}, no call longer than {:.1?}",
        swept.sessions,
        swept.changes,
        began.elapsed(),
        longest.lock().unwrap()
    );
    assert_eq!(swept.sessions, size as u64 / 10);
    assert!(swept.changes >= swept.sessions);
}

fn print(lines: &[Line]) {
    let micros = |span: Duration| span.as_micros();
    println!(
        "{:>9} {:>8} | {:>22} | {:>22} | {:>9} | {:>26} | {:>9}",
        "",
        "start",
        "key: CPU us, half us",
        "session: CPU us, half",
        "token",
        "lists: one's, newest, keys",
        "memory"
    );
    println!(
        "{:>9} {:>8} | {:>22} | {:>22} | {:>9} | {:>26} | {:>9}",
        "of each", "ms", "new / known", "new / known", "CPU us", "us", "KiB more"
    );
    for line in lines {
        let pair = |new: Cost, known: Cost| {
            format!(
                "{} {} / {} {}",
                micros(new.cpu),
                micros(new.half),
                micros(known.cpu),
                micros(known.half)
            )
        };
        println!(
            "{:>9} {:>8} | {:>22} | {:>22} | {:>9} | {:>26} | {:>9}",
            line.number,
            line.start.as_millis(),
            pair(line.new_key, line.known_key),
            pair(line.new_session, line.known_session),
            micros(line.token.cpu),
            format!("{} {} {}", micros(line.sessions_of), micros(line.newest), micros(line.keys)),
            line.memory
        );
    }
}
