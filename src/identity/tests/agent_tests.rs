//! Agent tokens: granted by the rule, noted, and ended with whatever they hang on.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    identity::{
        AgentGranted, AgentRequest, AgentSettings, IdentityError, Settings,
        test_kit::{GOOD, Kit, acting, api, realm},
    },
    model::{AuthMethod, Principal, SecretString},
    pipeline::agent::{AgentPolicy, AgentType},
};

fn texts(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|text| Arc::from(*text)).collect()
}

fn with_agents(settings: &mut Settings) {
    for mount in &mut settings.mounts {
        mount.agents = Some(AgentSettings {
            audience: "archon-agent-system".into(),
            lifetime: Duration::from_secs(3600),
            most: 3,
            policy: AgentPolicy {
                types: vec![AgentType {
                    name: "code_implementer".into(),
                    capabilities: texts(&["file:read", "git:commit"]),
                    restrictions: json!({ "file_paths": ["src/**"] }).as_object().unwrap().clone(),
                    ..AgentType::default()
                }],
                runs: vec![("USER".into(), texts(&["code_implementer"]))],
                bounds: Vec::new(),
            },
        });
    }
}

fn request(kind: &str, capabilities: &[&str]) -> AgentRequest {
    AgentRequest {
        kind: kind.into(),
        capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
        task_context: json!({ "Task Id": 7 }).as_object().unwrap().clone(),
    }
}

async fn granted(kit: &Kit, who: &Principal) -> Result<AgentGranted, IdentityError> {
    let asked = request("code_implementer", &["shell:execute", "git:commit", "file:read"]);
    kit.identity.authenticate_agent(who, asked, &acting(&who.subject)).await
}

fn good(kit: &Kit, token: &SecretString) -> bool {
    kit.identity.validate_agent(&api(), token).is_ok()
}

#[tokio::test]
async fn the_token_has_the_claims_of_the_contract_and_the_events_tell_of_it() {
    let kit = Kit::open(with_agents).await;
    kit.user("ada", &["USER"]).await;
    let login = kit.login("ada", GOOD).await.unwrap();
    let who = kit.principal(&login);
    let agent = granted(&kit, &who).await.unwrap();
    assert_eq!(agent.grant.granted, ["git:commit", "file:read"]);
    assert_eq!(agent.grant.denied, ["shell:execute"]);
    let facts = kit.identity.validate_agent(&api(), &agent.token).unwrap();
    assert_eq!(
        (&*facts.kind, facts.restrictions),
        ("code_implementer", json!({"file_paths": ["src/**"]}))
    );
    let claims: Value = {
        use crate::model::secret::ExposeSecret;
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let part = agent.token.expose_secret().split('.').nth(1).unwrap().to_owned();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(claims["aud"], "archon-agent-system");
    assert_eq!(claims["type"], "agent");
    assert_eq!(claims["sub"], who.subject.as_str());
    assert_eq!(claims["task_context"], json!({ "Task Id": 7 }));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let events = kit.events().await;
    for event in ["AGENT_AUTHENTICATED", "AGENT_CAPABILITY_DENIED"] {
        assert!(events.iter().any(|name| name == event), "{event}");
    }
    // It is no access token, and an access token is no agent's.
    assert!(kit.identity.validate_agent(&api(), &login.access_token).is_err());
    assert!(kit.identity.validate_agent(&"other".into(), &agent.token).is_err());
}

#[tokio::test]
async fn types_that_no_role_may_run_are_refused_and_nothing_granted_is_no_refusal() {
    let kit = Kit::open(with_agents).await;
    kit.user("ada", &["USER"]).await;
    kit.user("rob", &["READONLY"]).await;
    let ada = kit.principal(&kit.login("ada", GOOD).await.unwrap());
    let rob = kit.principal(&kit.login("rob", GOOD).await.unwrap());
    let ask = |who: Principal, asked| {
        let identity = kit.identity.clone();
        async move { identity.authenticate_agent(&who, asked, &acting(&who.subject)).await }
    };
    let unknown = ask(ada.clone(), request("nonsense", &[])).await;
    assert_eq!(unknown.map(drop), Err(IdentityError::AgentRefused));
    let refused = ask(rob, request("code_implementer", &["file:read"])).await;
    assert_eq!(refused.map(drop), Err(IdentityError::AgentRefused));
    let nothing = ask(ada.clone(), request("code_implementer", &["shell:execute"])).await.unwrap();
    assert!(nothing.grant.granted.is_empty());
    let mut huge = request("code_implementer", &[]);
    huge.task_context.insert("text".into(), "x".repeat(9000).into());
    assert!(matches!(ask(ada.clone(), huge).await, Err(IdentityError::Invalid(_))));
    let odd = request("code_implementer", &["a b"]);
    assert!(matches!(ask(ada, odd).await, Err(IdentityError::Invalid(_))));
    assert!(kit.events().await.iter().any(|name| name == "AGENT_REFUSED"));
}

#[tokio::test]
async fn an_agent_ends_with_the_session_that_made_it() {
    let kit = Kit::open(with_agents).await;
    kit.user("ada", &["USER"]).await;
    let (first, second) =
        (kit.login("ada", GOOD).await.unwrap(), kit.login("ada", GOOD).await.unwrap());
    let (one, two) = (kit.principal(&first), kit.principal(&second));
    let (a, b) = (granted(&kit, &one).await.unwrap(), granted(&kit, &two).await.unwrap());
    kit.identity.logout(&one, None, &acting(&one.subject)).await.unwrap();
    assert!(!good(&kit, &a.token) && good(&kit, &b.token));
    // A request that the edge let in a moment before gets no token any more.
    assert_eq!(granted(&kit, &one).await.map(drop), Err(IdentityError::CredentialEnded));
    kit.advance(3600);
    assert!(!good(&kit, &b.token), "expired");
}

#[tokio::test]
async fn an_agent_of_a_key_ends_with_the_account_also_over_a_restart() {
    let kit = Kit::open(with_agents).await;
    let account = kit.user("ada", &["USER"]).await;
    let login = kit.login("ada", GOOD).await.unwrap();
    let key = Principal {
        method: AuthMethod::ApiKey,
        session: None,
        token: None,
        key: Some("key_1".into()),
        ..kit.principal(&login)
    };
    let agent = granted(&kit, &key).await.unwrap();
    kit.identity.logout(&kit.principal(&login), None, &acting(&account.id)).await.unwrap();
    assert!(good(&kit, &agent.token), "it hangs on no session");
    let by = acting(&account.id);
    kit.identity.set_enabled(&realm(), &account.id, false, &by).await.unwrap();
    assert!(!good(&kit, &agent.token));
    kit.identity.set_enabled(&realm(), &account.id, true, &by).await.unwrap();
    assert!(!good(&kit, &agent.token), "what has ended stays ended");
    let kit = kit.reopen(with_agents).await;
    assert!(!good(&kit, &agent.token));
}

#[tokio::test]
async fn an_account_has_so_many_live_tokens_and_ending_some_makes_room() {
    let kit = Kit::open(with_agents).await;
    kit.user("ada", &["USER"]).await;
    kit.user("bob", &["USER"]).await;
    let who = kit.principal(&kit.login("ada", GOOD).await.unwrap());
    let bob = kit.principal(&kit.login("bob", GOOD).await.unwrap());
    for _ in 0..3 {
        granted(&kit, &who).await.unwrap();
    }
    let refused = granted(&kit, &who).await.map(drop).unwrap_err();
    assert!(matches!(&refused, IdentityError::Throttled(toll) if toll.window.limit == 3));
    granted(&kit, &bob).await.unwrap();
    kit.advance(3600);
    let who = kit.principal(&kit.login("ada", GOOD).await.unwrap());
    granted(&kit, &who).await.unwrap();
}

#[tokio::test]
async fn a_token_that_expires_is_told_of_once_unless_something_ended_it_before() {
    let kit = Kit::open(with_agents).await;
    kit.user("ada", &["USER"]).await;
    let one = kit.principal(&kit.login("ada", GOOD).await.unwrap());
    let two = kit.principal(&kit.login("ada", GOOD).await.unwrap());
    granted(&kit, &one).await.unwrap();
    granted(&kit, &two).await.unwrap();
    kit.identity.logout(&one, None, &acting(&one.subject)).await.unwrap();
    kit.advance(3599);
    let expired = async || {
        kit.sweep().await.unwrap();
        kit.events().await.iter().filter(|name| *name == "AGENT_TOKEN_EXPIRED").count()
    };
    assert_eq!(expired().await, 0);
    kit.advance(1);
    assert_eq!(expired().await, 1, "the other one ended with its session");
    assert_eq!(expired().await, 1);
}
