//! The chart, rendered in several ways: Kubernetes knows every word of it, the gateway takes the files that it makes, and no pod
//! is given what is not its business.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{documents, ended_well, file, quiet, tool};
use crate::support::{gateway, tls};

const DATABASE: &str = "database.url=postgres://portcullis@db.internal/portcullis";
/// As few values as there can be, and everything at once.
const WAYS: [(&str, &[&str]); 4] = [
    ("least", &[]),
    ("redis", &["redis.url=rediss://gateway@redis.internal:6379/0", "redis.caKey=ca.crt"]),
    (
        "sentinels",
        &[
            "redis.sentinels={a.internal:26379,b.internal:26379}",
            "redis.master=main",
            "redis.username=gateway",
        ],
    ),
    (
        "everything",
        &[
            "redis.cluster={a.internal:6379,b.internal:6379}",
            "database.caKey=ca.crt",
            "edge.autoscaling.enabled=true",
            "edge.ingress.enabled=true",
            "edge.ingress.host=api.example.org",
            "edge.ingress.tlsSecretName=api",
            "edge.tls.secretName=public",
            "edge.nodeSelector.disk=fast",
            "imagePullSecrets[0].name=registry",
            "internal.secretName=operator",
            "podMonitor.enabled=true",
            "link.certManager.enabled=true",
            "networkPolicy.metricsFrom={monitoring}",
            "serviceAccount.annotations.a=b",
        ],
    ),
];

/// The chart with these values, as files in the folder and as documents.
fn rendered(folder: &Path, way: (&str, &[&str])) -> Option<Vec<Value>> {
    let mut helm = tool("helm")?;
    helm.args(["template", "gate"]).arg(file("helm/portcullis")).args(["--set", DATABASE]);
    for value in way.1 {
        helm.args(["--set", value]);
    }
    let yaml = folder.join(format!("{}.yaml", way.0));
    fs::write(&yaml, quiet(&mut helm)).expect("write it");
    // The oldest that the chart may be used with, and a late one. Kinds of others have no schema here, and are only told of.
    for version in ["1.30", "1.35"] {
        let mut validate = tool("kubernetes-validate")?;
        let (out, complaint) = ended_well(validate.args(["-k", version, "--strict"]).arg(&yaml));
        let unknown = |line: &&str| {
            !line.contains("passed")
                && !line.contains("Certificate")
                && !line.contains("PodMonitor")
        };
        let said: Vec<&str> = out.lines().chain(complaint.lines()).filter(unknown).collect();
        assert!(said.is_empty(), "{}, {version}: {said:?}", way.0);
    }
    Some(documents(&yaml))
}

fn of_kind<'a>(all: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let wanted = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
    all.iter().find(wanted).unwrap_or_else(|| panic!("there is a {kind} {name}"))
}

fn texts<'a>(list: &'a Value, key: &str) -> BTreeSet<&'a str> {
    list.as_array().into_iter().flatten().filter_map(|one| one[key].as_str()).collect()
}

#[test]
fn the_chart_has_no_mistakes() {
    let Some(mut helm) = tool("helm") else { return };
    let linted =
        helm.args(["lint", "--strict"]).arg(file("helm/portcullis")).args(["--set", DATABASE]);
    let (said, _) = ended_well(linted);
    assert!(said.contains("0 chart(s) failed"), "{said}");
}

#[test]
fn the_chart_asks_for_what_it_cannot_know() {
    let Some(mut helm) = tool("helm") else { return };
    let output =
        helm.args(["template", "gate"]).arg(file("helm/portcullis")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("database.url: the address"), "{said}");
}

#[test]
fn every_way_to_render_it_is_known_to_kubernetes_and_to_the_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    for way in WAYS {
        let Some(all) = rendered(folder.path(), way) else { return };
        let pods = [
            ("edge", of_kind(&all, "Deployment", "gate-edge")),
            ("identity", of_kind(&all, "StatefulSet", "gate-identity")),
        ];
        for (plane, pod) in pods {
            let spec = &pod["spec"]["template"]["spec"];
            let mounted = texts(&spec["containers"][0]["volumeMounts"], "name");
            assert_eq!(mounted, texts(&spec["volumes"], "name"), "{}: {plane}", way.0);
            let secret = ["database", "master"].map(|name| mounted.contains(name));
            assert_eq!(secret, [plane == "identity"; 2], "{}: {plane}: {mounted:?}", way.0);
            let text =
                of_kind(&all, "ConfigMap", "gate")["data"]["fleet.toml"].as_str().expect("text");
            is_taken(way.0, plane, text, &mounted);
        }
        let job = of_kind(&all, "Job", "gate-migrate");
        assert!(job["spec"]["template"]["spec"]["serviceAccountName"].is_null(), "{}", way.0);
        let text = of_kind(&all, "ConfigMap", "gate-migrate");
        assert_eq!(text["data"], of_kind(&all, "ConfigMap", "gate")["data"], "{}", way.0);
    }
}

/// A change of what running nodes take over starts none of them anew; a change of the rest does.
#[test]
fn only_what_is_fixed_starts_nodes_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = |way| {
        let all = rendered(folder.path(), way)?;
        let annotations = &of_kind(&all, "Deployment", "gate-edge")["spec"]["template"]["metadata"]
            ["annotations"];
        Some(annotations["checksum/fixed"].as_str().expect("a mark").to_owned())
    };
    let Some(plain) = mark(("plain", &[])) else { return };
    assert_eq!(Some(&plain), mark(("config", &["config=[[realm]]\nname = \"main\""])).as_ref());
    assert_ne!(Some(&plain), mark(("drain", &["drain.grace=40"])).as_ref());
}

/// `check` reads it in a folder that has exactly what the pod is given.
fn is_taken(way: &str, plane: &str, text: &str, mounted: &BTreeSet<&str>) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let authority = tls::Authority::new();
    let pair = authority.server(&[&format!("gate-{plane}")]);
    for name in mounted.iter().filter(|name| !["config", "data"].contains(*name)) {
        fs::create_dir(root.join(name)).expect("make a folder");
        let put =
            |file: &str, text: &str| fs::write(root.join(name).join(file), text).expect("write it");
        match *name {
            "link" | "tls" => {
                put("tls.crt", &pair.chain);
                put("tls.key", &pair.key);
                put("ca.crt", &authority.pem());
            }
            "master" => put("master.key", "0123456789abcdef0123456789abcdef"),
            "operator" => put("token", "an-operator-token-0123456789abcdef-0123456789"),
            _ => {
                put("password", "a-password-of-the-tests");
                put("ca.crt", &authority.pem());
            }
        }
    }
    let text = text
        .replace("/etc/portcullis", &root.display().to_string())
        .replace("/var/lib/portcullis", &root.join("data").display().to_string());
    let config = root.join("fleet.toml");
    fs::write(&config, text).expect("write it");
    let config = config.to_str().expect("UTF-8");
    let output = gateway::run(&["check", "--config", config, "--plane", plane]);
    assert!(output.status.success(), "{way}, {plane}: {}", gateway::said(&output));
}
