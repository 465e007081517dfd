//! Routes that stand in each other's way, told with the lines of both.

use crate::{
    config::{
        blueprint::Blueprint,
        problem::{Place, Problem, Problems},
    },
    pipeline::route::{RouteConflict, RouteError},
};

/// Reports what the route table refused. Two mounts at one place collide in every endpoint of their contract: that is
/// one fault, told once.
pub(super) fn explain(errors: Vec<RouteError>, blueprint: &Blueprint, problems: &Problems) {
    let mut told: Vec<(String, String)> = Vec::new();
    let pairs: Vec<_> = errors.iter().filter_map(pair_of).collect();
    for error in errors {
        let conflict = match error {
            RouteError::Conflict(conflict) => conflict,
            RouteError::Pattern { route, why } => {
                problems.add(bad_path(blueprint, &route, why));
                continue;
            }
        };
        let Some(pair) = pair_of(&RouteError::Conflict(conflict.clone())) else {
            problems.add(equal_routes(blueprint, &conflict));
            continue;
        };
        if !told.contains(&pair) {
            let alone = pairs.iter().filter(|other| **other == pair).count() == 1;
            problems.add(same_place(blueprint, &pair, &conflict, alone));
            told.push(pair);
        }
    }
}

/// The two mounts whose generated routes collide.
fn pair_of(error: &RouteError) -> Option<(String, String)> {
    let RouteError::Conflict(conflict) = error else { return None };
    let first = generated_by(&conflict.first)?.to_owned();
    Some((first, generated_by(&conflict.second)?.to_owned()))
}

/// The mount of a generated route, from its name `mount:METHOD path`.
fn generated_by(route: &str) -> Option<&str> {
    route.split_once(':').map(|(mount, _)| mount)
}

/// Where a route is written; a generated one stands where its mount stands.
fn find<'b>(blueprint: &'b Blueprint, name: &str) -> Option<(&'b Place, &'b str)> {
    if let Some(route) = blueprint.routes.iter().find(|route| *route.is.name == *name) {
        return Some((&route.place, &route.path));
    }
    let mount = generated_by(name)?;
    let found = blueprint.mounts.iter().find(|found| found.is.name.as_str() == mount)?;
    Some((&found.place, &found.path))
}

fn place(found: Option<(&Place, &str)>) -> Place {
    found.map_or(Place::START, |(place, _)| place.clone())
}

fn key(found: Option<(&Place, &str)>) -> String {
    found.map_or_else(String::new, |(_, path)| path.to_owned())
}

fn equal_routes(blueprint: &Blueprint, conflict: &RouteConflict) -> Problem {
    let (first, second) = (find(blueprint, &conflict.first), find(blueprint, &conflict.second));
    Problem {
        place: place(second),
        key: key(second),
        what: format!(
            "routes \"{}\" ({}) and \"{}\" ({}) are equal",
            conflict.first,
            place(first).in_words(),
            conflict.second,
            place(second).in_words()
        ),
        why: format!("both match {} and neither is more specific", conflict.what),
        fix: "change the path or the methods of one, or remove it".into(),
        nearest: None,
    }
}

fn same_place(
    blueprint: &Blueprint,
    (first, second): &(String, String),
    conflict: &RouteConflict,
    alone: bool,
) -> Problem {
    let (one, two) = (find(blueprint, &conflict.first), find(blueprint, &conflict.second));
    Problem {
        place: place(two),
        key: key(two),
        what: format!(
            "mounts \"{first}\" ({}) and \"{second}\" ({}) claim the same endpoints",
            place(one).in_words(),
            place(two).in_words()
        ),
        why: format!(
            "both would answer {}{}",
            conflict.what,
            if alone { "" } else { ", among others" }
        ),
        fix: "give one of them another listener, host or prefix in its at".into(),
        nearest: None,
    }
}

fn bad_path(blueprint: &Blueprint, route: &str, why: String) -> Problem {
    let found = find(blueprint, route);
    Problem {
        place: place(found),
        key: format!("{}.match.path", key(found)),
        what: "bad path".into(),
        why,
        fix: "write a path such as \"/a/b\", \"/a/{id}\" or \"/a/**\"".into(),
        nearest: None,
    }
}
