//! The reader alone: forms, queries, nested objects, both spellings.

use serde_json::json;

use super::*;
use crate::model::secret::ExposeSecret;

/// Fields of every kind, in both spellings.
#[derive(Debug, PartialEq)]
struct Probe {
    name: String,
    remember_me: Option<bool>,
    page: Option<u64>,
    tags: Option<Vec<String>>,
    device: Option<(String, Option<u64>)>,
    context: Option<Map<String, Value>>,
    camel: bool,
}

impl Request for Probe {
    const CASING: Casing = Casing::Either;

    fn read(fields: &mut Fields) -> Option<Self> {
        let name = fields.text("name");
        let remember_me = fields.optional_bool("remember_me");
        let page = fields.optional_int("page", 1, 100);
        let tags = fields.optional_texts("tags");
        let device = fields.optional_object("device_info", |inner| {
            let id = inner.text("device_id");
            let since = inner.optional_int("since", 0, 9);
            Some((id?, since))
        });
        let context = fields.optional_map("task_context");
        let camel = fields.any_camel();
        Some(Self { name: name?, remember_me, page, tags, device, context, camel })
    }
}

/// Exact spelling.
struct Plain(SecretString);

impl Request for Plain {
    const ENCODING: Encoding = Encoding::Form;

    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(fields.secret("pass_word")?))
    }
}

fn body(value: &Value) -> Result<Probe, Vec<Detail>> {
    parse(value.to_string().as_bytes())
}

fn faults<T>(result: Result<T, Vec<Detail>>) -> Vec<String> {
    let details = result.err().unwrap_or_default();
    details.iter().map(|detail| format!("{} {}", detail.loc.join("."), detail.kind)).collect()
}

#[test]
fn either_spelling_is_read_and_noted() {
    let snake = json!({ "name": "a", "remember_me": true, "device_info": { "device_id": "d" } });
    let camel = json!({ "name": "a", "rememberMe": true, "deviceInfo": { "deviceId": "d" } });
    let (snake, camel) = (body(&snake).unwrap(), body(&camel).unwrap());
    assert!(!snake.camel && camel.camel);
    assert_eq!(Probe { camel: false, ..camel }, snake);
    let twice = json!({ "name": "a", "remember_me": true, "rememberMe": true });
    assert_eq!(body(&twice).unwrap().remember_me, Some(true));
    let null = json!({ "name": "a", "remember_me": null, "rememberMe": true });
    assert_eq!(faults(body(&null)), ["body.remember_me spelled_twice"]);
}

#[test]
fn two_spellings_that_differ_are_a_fault() {
    let differ = json!({ "name": "a", "remember_me": true, "rememberMe": false });
    assert_eq!(faults(body(&differ)), ["body.remember_me spelled_twice"]);
}

#[test]
fn free_maps_keep_the_names_of_the_client() {
    let sent = json!({ "name": "a", "taskContext": { "branch_name": 1, "branchName": [null] } });
    let map = body(&sent).unwrap().context.unwrap();
    assert_eq!(Value::Object(map), json!({ "branch_name": 1, "branchName": [null] }));
}

#[test]
fn faults_of_an_inner_object_tell_the_whole_place() {
    let sent = json!({ "name": 1, "device_info": { "since": 10 }, "task_context": [] });
    assert_eq!(
        faults(body(&sent)),
        [
            "body.name string_type",
            "body.device_info.device_id missing",
            "body.device_info.since less_than_equal",
            "body.task_context dict_type",
        ]
    );
}

#[test]
fn a_query_writes_numbers_and_truth_as_text() {
    let probe: Probe =
        parse_query(Some("name=a%40b+c&page=7&remember_me=TRUE&tags=x&tags=y")).unwrap();
    assert_eq!(
        (probe.name.as_str(), probe.page, probe.remember_me),
        ("a@b c", Some(7), Some(true))
    );
    assert_eq!(probe.tags.unwrap(), ["x", "y"]);
    let faults_of = |query| faults(parse_query::<Probe>(Some(query)));
    assert_eq!(faults_of("name=a&page=0"), ["query.page greater_than_equal"]);
    assert_eq!(faults_of("name=a&page=-1"), ["query.page greater_than_equal"]);
    assert_eq!(faults_of("name=a&page=99999999999999999999"), ["query.page less_than_equal"]);
    assert_eq!(faults_of("name=a&page=1.0"), ["query.page int_type"]);
    assert_eq!(faults_of("name=a&remember_me=maybe"), ["query.remember_me bool_type"]);
    assert_eq!(faults_of("name=a&name=b"), ["query.name string_type"]);
    assert_eq!(faults_of("name=%ff"), ["query.name string_unicode"]);
    assert_eq!(faults_of("name=a%00b"), ["query.name string_nul"]);
    assert_eq!(faults(parse_query::<Probe>(None)), ["query.name missing"]);
}

#[test]
fn a_form_is_read_as_text_and_only_in_the_contracts_spelling() {
    let pairs = |name: &str| [(name.to_owned(), "12".to_owned())];
    let Plain(secret) = parse_form(pairs("pass_word")).unwrap();
    assert_eq!(secret.expose_secret(), "12");
    assert_eq!(faults(parse_form::<Plain>(pairs("passWord"))), ["body.pass_word missing"]);
}

#[test]
fn json_truth_is_not_text() {
    assert_eq!(
        faults(body(&json!({ "name": "a", "remember_me": "true", "page": "1" }))),
        ["body.remember_me bool_type", "body.page int_type"]
    );
}

#[test]
fn a_detail_has_the_member_input_only_where_asked() {
    let detail = Detail::new("email", "missing", "Field required");
    assert_eq!(
        json!(detail),
        json!({ "loc": ["body", "email"], "msg": "Field required", "type": "missing" })
    );
    assert_eq!(json!(detail.clone().with_input())["input"], Value::Null);
    assert!(json!(detail.with_input()).get("input").is_some());
}

#[test]
fn days_are_whole_and_last_no_longer_than_a_century() {
    struct Days(Option<std::time::Duration>);
    impl Request for Days {
        fn read(fields: &mut Fields) -> Option<Self> {
            Some(Self(fields.optional_days("days")))
        }
    }
    let read = |text: &str| parse::<Days>(text.as_bytes()).map(|Days(span)| span);
    assert_eq!(read(r#"{"days":2}"#).unwrap().unwrap().as_secs(), 172_800);
    assert!(read(r#"{"days":null}"#).unwrap().is_none());
    assert!(read(r#"{"days":36500}"#).unwrap().is_some());
    for text in [r#"{"days":0}"#, r#"{"days":36501}"#, r#"{"days":1.5}"#] {
        assert_eq!(read(text).unwrap_err()[0].field(), "days", "{text}");
    }
}
