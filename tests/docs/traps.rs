//! What gateways of this kind fell for, with the tests that show it does not happen here. A test that is gone is told.

use std::{fmt::Write, fs, path::Path};

use super::generated::{cell, holds};
use crate::file;

const TRAPS: [(&str, &[&str]); 44] = [
    (
        "another spelling of an identity header reaches upstreams that fold names",
        &["spoofed_fields_go_in_every_spelling_on_every_route"],
    ),
    (
        "public routes forward what a client says of itself",
        &["a_public_route_forwards_no_identity_of_the_clients_making"],
    ),
    (
        "one member of `X-Forwarded-*` is forgotten",
        &[
            "the_forwarding_headers_are_written_by_us",
            "every_case_of_the_corpus_has_its_verdict_and_nothing_gets_by",
        ],
    ),
    (
        "`Connection` names a header of ours",
        &["a_connection_that_names_what_is_ours_is_400", "connection_names_nothing_that_is_ours"],
    ),
    (
        "a forwarded URI, host or scheme decides",
        &[
            "other_names_for_the_path_do_not_decide",
            "scheme_and_host_are_believed_only_from_a_listed_peer",
        ],
    ),
    (
        "the leftmost address of `X-Forwarded-For` is believed",
        &["the_rightmost_address_that_is_no_proxy_is_the_client"],
    ),
    (
        "a property of the request, such as its program, exempts it",
        &[
            "the_operators_side_is_not_public",
            "every_case_of_the_corpus_has_its_verdict_and_nothing_gets_by",
        ],
    ),
    (
        "a header that stands twice slips through a rule",
        &["two_authorization_headers_are_400", "fields_that_may_stand_once_stand_once"],
    ),
    ("credentials leak to upstreams", &["credentials_go_on_only_where_the_route_says_so"]),
    (
        "secrets in errors, logs and figures",
        &["no_secret_is_found_in_logs_metrics_or_errors", "no_record_holds_a_secret"],
    ),
    (
        "sample credentials open the operator's side",
        &[
            "nothing_opens_on_tcp_without_the_exact_token",
            "short_secrets_of_the_process_are_refused_before_it_starts",
        ],
    ),
    (
        "dot segments judged raw and resolved upstream",
        &[
            "ambiguous_paths_are_400_before_any_route",
            "paths_that_can_be_read_in_two_ways_are_refused",
        ],
    ),
    (
        "encoded separators and double escapes",
        &["some_forms_need_the_routes_consent", "spellings_of_one_path_become_one"],
    ),
    (
        "parameters of segments",
        &["path_forms_are_refused_after_matching_unless_the_route_takes_them"],
    ),
    (
        "a fragment in the target",
        &[
            "raw_targets_have_no_fragment_and_no_odd_bytes",
            "every_case_that_frames_can_say_has_its_verdict_over_http2",
        ],
    ),
    ("rewriting after the decision", &["a_path_behind_a_prefix_is_sent_as_it_was_judged"]),
    (
        "empty segments, trailing slashes",
        &[
            "an_encoded_slash_is_no_separator_and_an_empty_segment_no_parameter",
            "an_upstreams_slash_redirect_never_reaches_a_client",
        ],
    ),
    (
        "a target that is no path",
        &[
            "targets_that_are_no_paths_are_refused",
            "an_absolute_target_must_agree_with_the_host",
            "trace_and_connect_are_refused",
        ],
    ),
    (
        "host, authority and name of the connection differ",
        &[
            "exactly_one_host_is_named_and_target_and_field_agree",
            "another_host_than_the_name_of_the_connection_is_421_where_its_rules_differ",
        ],
    ),
    (
        "two readers end a request in different places",
        &["two_lengths_are_refused", "no_case_makes_the_upstream_see_another_request"],
    ),
    (
        "bytes behind an upgrade go on before it was agreed to",
        &["websockets_are_tunnelled_only_after_the_upstream_agreed", "upgrades_are_not_passed_on"],
    ),
    (
        "invalid bytes go upstream",
        &[
            "facts_that_are_no_header_text_are_escaped",
            "every_case_that_frames_can_say_has_its_verdict_over_http2",
        ],
    ),
    (
        "the token chooses its algorithm",
        &["asymmetric_keys_verify_their_own_algorithm_only", "unsafe_profiles_are_told_at_load"],
    ),
    (
        "the token brings its key",
        &["addresses_in_a_token_are_never_asked", "headers_that_mean_anything_else_are_refused"],
    ),
    (
        "a claim of the wrong type counts as absent",
        &["claims_of_the_wrong_kind_are_refused_and_never_taken_as_absent"],
    ),
    (
        "a token of another service or kind",
        &[
            "each_credential_is_refused_on_each_other_mount",
            "one_kind_of_token_is_never_taken_for_the_other",
            "agent_tokens_are_a_kind_of_their_own",
        ],
    ),
    (
        "a token bound to a proof passes without one",
        &[
            "every_other_way_to_show_a_token_is_refused",
            "a_token_that_is_bound_stays_refused_when_it_is_known",
            "a_signed_token_of_another_issuer_is_good_with_its_proof_only",
            "an_opaque_token_is_bound_to_what_its_issuer_says",
            "who_is_not_listed_tells_of_no_certificate",
        ],
    ),
    (
        "a cached decision is used in another place, or for too long",
        &[
            "a_refused_token_is_remembered_for_a_moment_and_for_its_mount_only",
            "a_token_refused_a_moment_ago_passes_once_its_key_is_there",
            "without_the_store_a_changed_epoch_is_never_bridged",
        ],
    ),
    (
        "time tells who has an account",
        &[
            "unknown_names_and_wrong_passwords_answer_alike_and_lock_alike",
            "nothing_tells_whether_an_address_is_known",
        ],
    ),
    ("password hashes as a weapon", &["a_full_queue_is_refused_at_once_and_a_free_place_waits"]),
    (
        "a refresh token is spent twice",
        &[
            "without_grace_of_many_at_once_exactly_one_wins",
            "without_grace_any_replay_ends_the_family",
        ],
    ),
    ("a login in the name of another browser", &["a_state_is_good_once_and_in_its_own_browser"]),
    (
        "an exchange code is used again",
        &["a_second_use_is_400_and_an_event_and_leaves_the_session_alone"],
    ),
    ("keys of limits eat memory", &["the_table_never_outgrows_its_cap"]),
    (
        "a forgotten key begins anew with all its requests",
        &["at_the_cap_unknown_keys_share_one_bucket_per_limit_and_known_keys_keep_theirs"],
    ),
    ("no key, no limit", &["each_part_counts_whom_it_names_and_absence_is_a_bucket_of_its_own"]),
    (
        "a request is charged to some windows only",
        &["a_request_is_charged_to_all_windows_or_to_none"],
    ),
    (
        "slow heads and bodies",
        &["a_head_has_a_total_however_it_trickles_in", "a_body_must_keep_a_rate"],
    ),
    (
        "floods of HTTP/2",
        &["rapid_reset", "streams_that_we_are_made_to_reset", "a_head_without_end"],
    ),
    ("given up streams keep the window", &["windows_that_stay_shut"]),
    ("a stream outlives its credential", &["an_open_stream_ends_with_its_token"]),
    (
        "a stop takes as long as its longest request",
        &["a_request_that_outlives_the_grace_period_is_cut"],
    ),
    (
        "two versions of the rules in one request",
        &[
            "ten_thousand_requests_during_twenty_reloads_are_none_lost_and_none_mixed",
            "a_running_request_finishes_under_the_rules_it_began_with",
        ],
    ),
    ("a credential in a query stays in logs", &["the_token_in_the_query_is_seen_by_no_log"]),
];

#[test]
fn traps() {
    let mut all = String::new();
    for folder in ["src", "tests"] {
        read(&file(folder), &mut all);
    }
    let mut out = String::from("| Trap | Tests |\n| --- | --- |\n");
    for (text, tests) in TRAPS {
        for test in tests {
            assert!(all.contains(&format!("fn {test}(")), "there is no test {test}");
        }
        let shown: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
        writeln!(out, "| {} | {} |", cell(text), shown.join(", ")).unwrap();
    }
    holds("docs/security.md", "traps", &out);
}

fn read(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
