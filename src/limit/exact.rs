//! Every request decided by Redis: one script looks at all windows of all charges and charges all or none, by Redis' clock.
//!
//! In a cluster the keys of one call would have to lie in one slot, and then all limits of everybody would. So there the
//! charges of a request are asked for one after the other, and what was charged before one that refused is given back.

use super::levels::Levels;
use crate::{
    fleet::{Client, Lost, Script, Value},
    limit::local::name,
    pipeline::quota::{Charge, Toll},
};

/// Redis as a limiter.
pub(super) struct Exact {
    client: Client,
    script: Script,
}

/// What came of it.
pub(super) enum Verdict {
    /// All fit, and were charged unless it was only looked.
    Passes(Toll),
    /// None was charged.
    Refused(Toll),
}

/// What a call does to the windows.
#[derive(Clone, Copy)]
enum Cost {
    Charge,
    Look,
    GiveBack,
}

impl Exact {
    pub(super) fn new(client: Client) -> Self {
        Self { client, script: Script::new(include_str!("exact.lua")) }
    }

    /// Charges all or none.
    pub(super) async fn charge(&self, charges: &[&Charge<'_>]) -> Result<Option<Verdict>, Lost> {
        let charges = once_each(charges);
        if !self.client.is_cluster() {
            return self.call(&charges, Cost::Charge).await;
        }
        let mut shown: Option<Toll> = None;
        for (number, charge) in charges.iter().enumerate() {
            let verdict = self.call(std::slice::from_ref(charge), Cost::Charge).await;
            if let Ok(Some(Verdict::Passes(toll))) = verdict {
                shown = Some(match shown {
                    Some(other) => other.tighter(toll),
                    None => toll,
                });
                continue;
            }
            for before in charges.get(..number).unwrap_or_default() {
                // What cannot be given back stays charged: never a request too many.
                let _ = self.call(std::slice::from_ref(before), Cost::GiveBack).await;
            }
            return verdict;
        }
        Ok(shown.map(Verdict::Passes))
    }

    /// Gives back what was charged, because something else refused the request.
    pub(super) async fn give_back(&self, charges: &[&Charge<'_>]) {
        for charge in once_each(charges) {
            let _ = self.call(&[charge], Cost::GiveBack).await;
        }
    }

    /// The state, charging nothing.
    pub(super) async fn look(&self, charge: &Charge<'_>) -> Result<Option<Verdict>, Lost> {
        let name = name::in_all_nodes(charge);
        self.call(&[Named { charge, name }], Cost::Look).await
    }

    async fn call(&self, charges: &[Named<'_, '_>], cost: Cost) -> Result<Option<Verdict>, Lost> {
        if charges.is_empty() {
            return Ok(None);
        }
        let keys: Vec<String> =
            charges.iter().map(|one| self.client.named(&format!("limit:x:{}", one.name))).collect();
        let cost_text = match cost {
            Cost::Charge => "1",
            Cost::Look => "0",
            Cost::GiveBack => "-1",
        };
        let mut arguments = vec![cost_text.to_owned()];
        for one in charges {
            arguments.push(one.charge.windows.len().to_string());
            arguments.extend(super::levels::arguments(one.charge.windows));
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let Value::Array(said) = self.client.run(&self.script, &keys, &arguments).await? else {
            return Err(Lost);
        };
        let mut said = said.into_iter();
        let passes = match said.next() {
            Some(Value::Int(passes)) => passes == 1,
            _ => return Err(Lost),
        };
        let mut shown: Option<Toll> = None;
        let mut wait = std::time::Duration::ZERO;
        for one in charges {
            let windows = one.charge.windows;
            let levels = Levels::read(&mut said, windows.len()).ok_or(Lost)?;
            wait = wait.max(levels.wait(windows));
            let Some(toll) = levels.toll(one.charge.key.limit, windows) else { continue };
            shown = Some(match shown {
                Some(other) => other.tighter(toll),
                None => toll,
            });
        }
        Ok(shown.map(|toll| match passes {
            true => Verdict::Passes(toll),
            false => Verdict::Refused(Toll { retry_after: Some(wait), ..toll }),
        }))
    }
}

/// A charge and what it is called in all nodes.
struct Named<'a, 'c> {
    charge: &'a Charge<'c>,
    name: String,
}

/// The same key given twice is one charge.
fn once_each<'a, 'c>(charges: &[&'a Charge<'c>]) -> Vec<Named<'a, 'c>> {
    let mut named: Vec<Named<'_, '_>> = Vec::with_capacity(charges.len());
    for charge in charges {
        let name = name::in_all_nodes(charge);
        if named.iter().all(|other| other.name != name) {
            named.push(Named { charge, name });
        }
    }
    named
}
