//! A gateway whose upstream answers on every path of the contract, for the scope and role tables.

use std::sync::OnceLock;

use crate::support::{
    conf::{self, Conf},
    gateway::Gateway,
    operate,
    upstream::{Answer, Upstream},
};

/// The gateway, with an administrator.
pub fn wide() -> &'static Gateway {
    static WIDE: OnceLock<(Gateway, Upstream)> = OnceLock::new();
    let (gateway, _) = WIDE.get_or_init(|| {
        let upstream = Upstream::counting(|_| Answer::ok());
        let address = upstream.address;
        let gateway = Gateway::start(|places| {
            let everything = conf::open("everything", "/api/v1/**", "main")
                .with("authn", r#"["jwt", "api_key"]"#);
            Conf::new(places).upstream("main", &[address]).route(everything).text()
        });
        operate::add_admin(&gateway);
        (gateway, upstream)
    });
    gateway
}
