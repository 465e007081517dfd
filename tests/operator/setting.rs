//! A gateway for operators to work on, shared by the tests of this suite.

use std::sync::OnceLock;

use crate::support::{
    conf::{self, Conf},
    gateway::{Gateway, Places},
    operate,
    upstream::{Answer, Upstream},
};

/// Configuration of a small gateway before one upstream.
pub fn configuration(places: &Places, upstream: &Upstream) -> Conf {
    Conf::new(places).upstream("main", &[upstream.address]).route(conf::tasks("main"))
}

/// The shared gateway, with an administrator.
pub fn gateway() -> &'static Gateway {
    static SHARED: OnceLock<(Gateway, Upstream)> = OnceLock::new();
    let (gateway, _) = SHARED.get_or_init(|| {
        let upstream = Upstream::counting(|_| Answer::ok());
        let gateway = Gateway::start(|places| configuration(places, &upstream).text());
        operate::add_admin(&gateway);
        (gateway, upstream)
    });
    gateway
}
