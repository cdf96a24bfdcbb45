//! The shape of the workspace: who may know whom.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// What each package may depend on, outside of its tests: inward only.
const INWARD: [(&str, &[&str]); 11] = [
    ("subtle-domain", &[]),
    ("subtle-metrics", &[]),
    ("subtle-application", &["subtle-domain"]),
    ("subtle-persistence", &["subtle-domain", "subtle-metrics"]),
    ("subtle-security", &["subtle-domain", "subtle-metrics"]),
    ("subtle-mail", &["subtle-domain"]),
    ("subtle-http", &["subtle-application", "subtle-domain", "subtle-metrics"]),
    ("subtle-local-postgres", &[]),
    (
        "subtle-server",
        &[
            "subtle-application",
            "subtle-domain",
            "subtle-http",
            "subtle-local-postgres",
            "subtle-mail",
            "subtle-metrics",
            "subtle-persistence",
            "subtle-security",
        ],
    ),
    ("subtle-tests", &["subtle-server"]),
    ("xtask", &["subtle-local-postgres"]),
];

fn packages() -> Vec<Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    metadata.packages
}

fn normal_dependencies(package: &Package) -> BTreeSet<String> {
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal.map(|dependency| dependency.name.clone()).collect()
}

#[test]
fn dependencies_point_inward() {
    let allowed: BTreeMap<_, _> = INWARD.into_iter().collect();
    let packages = packages();
    let ours: BTreeSet<_> = packages.iter().map(|package| package.name.to_string()).collect();
    assert_eq!(ours, allowed.keys().map(ToString::to_string).collect(), "a package is not in the list");
    for package in &packages {
        let inward: Vec<_> =
            normal_dependencies(package).into_iter().filter(|name| ours.contains(name)).collect();
        let may = allowed[package.name.as_str()];
        assert!(inward.iter().all(|name| may.contains(&name.as_str())), "{} → {inward:?}", package.name);
    }
}

#[test]
fn the_domain_knows_no_runtime_no_database_and_no_framework() {
    for package in packages() {
        let known = normal_dependencies(&package);
        let forbidden: &[&str] = match package.name.as_str() {
            "subtle-domain" => {
                &["tokio", "diesel", "diesel-async", "actix-web", "serde_json", "tracing", "utoipa"]
            }
            "subtle-application" => &["tokio", "diesel", "diesel-async", "actix-web", "serde", "serde_json"],
            "subtle-http" => &["diesel", "diesel-async", "tokio-postgres", "bcrypt", "jsonwebtoken"],
            _ => &[],
        };
        for name in forbidden {
            assert!(!known.contains(*name), "{} knows {name}", package.name);
        }
    }
}

#[test]
fn every_package_takes_the_workspaces_lints() {
    for package in packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        let takes = manifest.contains("[lints]\nworkspace = true");
        // The launcher needs three calls that the standard library has not: its own table says which and why.
        let excused = package.name.as_str() == "subtle-local-postgres" && manifest.contains("[lints.clippy]");
        assert!(takes || excused, "{}", package.name);
    }
}
