//! `--set key=value`: changes to the tree before it is read, so that an override is checked like the file itself.
//!
//! The key is a dotted path in which the entries of `[[realm]]`, `[[mount]]` and the like are addressed by name, and
//! the elements of other lists by number from 0.

use super::{
    document::{Entry, Node, Table, Value, parse_value},
    problem::{Place, Problem, Problems, nearest},
};

/// The tables that stand in double brackets and are addressed by name.
pub const NAMED: [&str; 8] =
    ["listener", "forward_auth", "realm", "issuer", "mount", "upstream", "limit", "route"];

/// Applies all overrides in order; later ones win.
pub fn apply(root: &mut Table, sets: &[String], problems: &Problems) {
    for set in sets {
        // Only the key: what stands behind it may be a secret typed into the wrong place.
        let place = Place::Set(set.split('=').next().unwrap_or_default().trim().into());
        if let Err(fault) = apply_one(root, set, &place) {
            let key = set.split('=').next().unwrap_or_default().trim().to_owned();
            let Fault { what, why, fix, nearest } = fault;
            problems.add(Problem { place, key, what, why, fix, nearest });
        }
    }
}

/// Why an override cannot be applied.
struct Fault {
    what: String,
    why: String,
    fix: String,
    nearest: Option<String>,
}

impl Fault {
    fn new(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), fix: fix.into(), nearest: None }
    }
}

fn apply_one(root: &mut Table, set: &str, place: &Place) -> Result<(), Fault> {
    let Some((path, text)) = set.split_once('=') else {
        let why = "an override needs a key and a value";
        return Err(Fault::new("there is no = in it", why, "write --set key=value"));
    };
    let steps: Vec<&str> = path.split('.').map(str::trim).collect();
    if steps.contains(&"") {
        let why = "the key is a dotted path such as mount.tmws.access_token_lifetime";
        return Err(Fault::new("an empty part in the key", why, "name every part"));
    }
    let value = parse_value(text.trim(), place);
    match steps.as_slice() {
        [list, rest @ ..] if NAMED.contains(list) => match rest {
            [] | [_] => Err(Fault::new(
                format!("[[{list}]] is no single value"),
                "its entries are addressed by name, and each has keys",
                format!("write {list}.NAME.KEY=VALUE"),
            )),
            [name, keys @ ..] => put(named(root, list, name, place)?, keys, value),
        },
        keys => put_in(root, keys, value),
    }
}

/// The named entry of a double-bracket list. A limit may be made here, and the realm or listener that a short file
/// leaves implied.
fn named<'t>(
    root: &'t mut Table,
    list: &str,
    name: &str,
    place: &Place,
) -> Result<&'t mut Node, Fault> {
    let entry = root.entry(list.to_owned()).or_insert_with(|| Entry {
        key_place: place.clone(),
        node: Node { value: Value::List(Vec::new()), place: place.clone() },
    });
    let not_a_list =
        || Fault::new(format!("\"{list}\" is no list"), "", format!("write [[{list}]]"));
    let Value::List(items) = &mut entry.node.value else { return Err(not_a_list()) };

    let implied = items.is_empty() && matches!(list, "realm" | "listener");
    let known: Vec<String> = items.iter().filter_map(name_of).collect();
    let at = match items.iter().position(|item| name_of(item).as_deref() == Some(name)) {
        Some(at) => at,
        None if list == "limit" || implied => {
            let node = Node { value: Value::Text(name.to_owned()), place: place.clone() };
            let table = Table::from([("name".into(), Entry { key_place: place.clone(), node })]);
            items.push(Node { value: Value::Table(table), place: place.clone() });
            items.len() - 1
        }
        None => {
            return Err(Fault {
                what: format!("unknown {list} \"{name}\""),
                why: format!("known: {}", known.join(", ")),
                fix: format!("address an existing [[{list}]], or add it to the file"),
                nearest: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
            });
        }
    };
    items.get_mut(at).ok_or_else(not_a_list)
}

fn name_of(node: &Node) -> Option<String> {
    let Value::Table(table) = &node.value else { return None };
    match &table.get("name")?.node.value {
        Value::Text(name) => Some(name.clone()),
        _ => None,
    }
}

/// Walks on from `node` and puts the value at the end of `steps`.
fn put(node: &mut Node, steps: &[&str], value: Node) -> Result<(), Fault> {
    let [step, rest @ ..] = steps else {
        *node = value;
        return Ok(());
    };
    // A feature that is switched off by `false` gives way to its table.
    if matches!(node.value, Value::Bool(false)) {
        node.value = Value::Table(Table::new());
    }
    let kind = node.value.kind();
    match &mut node.value {
        Value::Table(table) => put_in(table, steps, value),
        Value::List(items) => {
            let count = items.len();
            let item = step.parse().ok().and_then(|at: usize| items.get_mut(at));
            let item = item.ok_or_else(|| {
                let why = format!("the list has {count} elements, numbered from 0");
                Fault::new(format!("no element \"{step}\""), why, "set the whole list")
            })?;
            put(item, rest, value)
        }
        _ => Err(Fault::new(
            format!("\"{step}\" cannot be set inside {kind}"),
            "only tables and lists have parts",
            "set the key in front of it",
        )),
    }
}

fn put_in(table: &mut Table, steps: &[&str], value: Node) -> Result<(), Fault> {
    let [step, rest @ ..] = steps else { return Ok(()) };
    let place = value.place.clone();
    let entry = table.entry((*step).to_owned()).or_insert_with(|| Entry {
        key_place: place.clone(),
        node: Node { value: Value::Table(Table::new()), place },
    });
    put(&mut entry.node, rest, value)
}
