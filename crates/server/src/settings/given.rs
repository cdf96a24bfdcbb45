//! What was given, and where: flags over the environment over `subtle.toml` over the defaults.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::parse::{Parsed, Unfit};
use super::{Privacy, Setting, TABLE, setting};
use crate::import::FROM_VARIABLE;

/// The file that is read when it is there.
const FILE: &str = "subtle.toml";
/// Names the file to read instead.
pub(crate) const FILE_VARIABLE: &str = "SUBTLE_CONFIG";

/// Why the settings are not fit to start with. Each is one line for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("the environment variable {name} is no setting{hint}")]
    UnknownVariable { name: String, hint: Hint },
    #[error("{} has the key {key:?}, which is no setting{hint}", file.display())]
    UnknownKey { file: PathBuf, key: String, hint: Hint },
    #[error("{name} cannot be {value} (from {origin}): it {fit}")]
    Unfit { name: &'static str, value: String, origin: Origin, fit: Unfit },
    #[error("{name} cannot be what {origin} says: {fit}")]
    UnfitAndHidden { name: &'static str, origin: Origin, fit: Unfit },
    #[error("the environment variable {0} is no UTF-8")]
    NotText(String),
    #[error("{} sets {key} to a {kind}: it must be a string, a whole number, true or false, or a list of strings", file.display())]
    Kind { file: PathBuf, key: &'static str, kind: &'static str },
    #[error("cannot read {}: {source}", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{} is no TOML, line {line}: {message}", file.display())]
    Syntax { file: PathBuf, line: usize, message: String },
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(String),
    Variable(String),
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
            Self::Default => f.write_str("the defaults"),
        }
    }
}

/// The name that was most likely meant, if one is near.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hint(Option<String>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, ": did you mean {name}?"),
            None => f.write_str(" (`subtle --help` lists all)"),
        }
    }
}

/// The text of each setting that was given, and where.
#[derive(Debug, Default)]
pub(crate) struct Given {
    values: HashMap<&'static str, (String, Origin)>,
}

impl Given {
    /// Puts the layers over each other. `flags` are by the settings' names; `config` is the file that a flag names.
    pub(crate) fn gather(
        flags: HashMap<&'static str, String>,
        config: Option<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingError> {
        let (variables, named) = variables(environment)?;
        let mut given = Self::default();
        for (name, value, file) in from_file(config.or(named))? {
            given.values.insert(name, (value, Origin::File(file)));
        }
        for (setting, value) in variables {
            given.values.insert(setting.name, (value, Origin::Variable(setting.variable())));
        }
        for (name, value) in flags {
            given.values.insert(name, (value, Origin::Flag(name.replace('_', "-"))));
        }
        Ok(given)
    }

    pub(super) fn read<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Result<T, SettingError> {
        let (default, hidden) =
            setting(name).map_or(("", false), |setting| (setting.default, setting.privacy != Privacy::Open));
        let given = self.values.get(name);
        let (text, origin) =
            given.map_or((default, Origin::Default), |(text, origin)| (text.as_str(), origin.clone()));
        parse(text).map_err(|fit| {
            if hidden {
                SettingError::UnfitAndHidden { name, origin, fit }
            } else {
                SettingError::Unfit { name, value: format!("{text:?}"), origin, fit }
            }
        })
    }
}

type Variables = Vec<(&'static Setting, String)>;

/// Ours among the variables, and the file that one of them names.
fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Variables, Option<PathBuf>), SettingError> {
    let (mut found, mut file) = (Vec::new(), None);
    for (name, value) in environment {
        let Some(name) = name.to_str() else { continue };
        if name == FILE_VARIABLE {
            file = Some(PathBuf::from(value));
            continue;
        }
        let known = TABLE.iter().find(|setting| setting.variable() == name);
        let Some(setting) = known else {
            if name.starts_with("SUBTLE_") && name != FROM_VARIABLE && !is_of_kubernetes(name) {
                return Err(SettingError::UnknownVariable {
                    name: name.to_owned(),
                    hint: meant_variable(name),
                });
            }
            continue;
        };
        let value = value.into_string().or(Err(SettingError::NotText(name.to_owned())))?;
        found.push((setting, value));
    }
    Ok((found, file))
}

/// What Kubernetes sets in every container beside a Service that is called `subtle`.
fn is_of_kubernetes(name: &str) -> bool {
    let rest = name.strip_prefix("SUBTLE_").unwrap_or_default();
    rest == "PORT" || ["PORT_", "SERVICE_HOST", "SERVICE_PORT"].iter().any(|start| rest.starts_with(start))
}

fn from_file(named: Option<PathBuf>) -> Result<Vec<(&'static str, String, PathBuf)>, SettingError> {
    let must_be_there = named.is_some();
    let file = named.unwrap_or_else(|| PathBuf::from(FILE));
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be_there => return Ok(Vec::new()),
        Err(source) => return Err(SettingError::Unreadable { file, source }),
    };
    let table = text.parse::<toml::Table>().map_err(|error| syntax(&file, &text, &error))?;
    table.into_iter().map(|(key, value)| entry(&file, key, value)).collect()
}

fn entry(
    file: &Path,
    key: String,
    value: toml::Value,
) -> Result<(&'static str, String, PathBuf), SettingError> {
    let file = file.to_owned();
    let Some(setting) = setting(&key) else {
        let hint = Hint(meant(&key).map(|setting| format!("{:?}", setting.name)));
        return Err(SettingError::UnknownKey { file, key, hint });
    };
    match text_of(value) {
        Ok(text) => Ok((setting.name, text, file)),
        Err(kind) => Err(SettingError::Kind { file, key: setting.name, kind }),
    }
}

/// A value as it would be written in a variable, or what kind of value it is instead.
fn text_of(value: toml::Value) -> Result<String, &'static str> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(switch) => Ok(switch.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<String>> =
                items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map(|texts| texts.join(",")).ok_or("list of something else")
        }
        toml::Value::Float(_) => Err("broken number"),
        toml::Value::Datetime(_) => Err("date"),
        toml::Value::Table(_) => Err("table"),
    }
}

/// Without the line itself, which the error would show: there may be a secret in it.
fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> SettingError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    SettingError::Syntax { file: file.to_owned(), line, message: error.message().replace('\n', " ") }
}

fn meant_variable(name: &str) -> Hint {
    let bare = name.strip_prefix("SUBTLE_").unwrap_or(name).to_ascii_lowercase();
    Hint(meant(&bare).map(Setting::variable))
}

/// The setting whose name is nearest, if it is near enough to be a slip of the fingers.
fn meant(name: &str) -> Option<&'static Setting> {
    let name = name.replace('-', "_");
    let near = |setting: &&Setting| distance(&name, setting.name) <= 2.min(name.len() / 3);
    TABLE.iter().filter(near).min_by_key(|setting| distance(&name, setting.name))
}

/// How many letters have to be changed, added or dropped to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, replaced), dropped) in other.chars().zip(&row).zip(row.iter().skip(1)) {
            let added = next.last().map_or(usize::MAX, |left| left + 1);
            next.push((replaced + usize::from(a != b)).min(dropped + 1).min(added));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
