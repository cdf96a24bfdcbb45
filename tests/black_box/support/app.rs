use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use subtle_local_postgres::testing::{database, empty_database};
use subtle_persistence::migrations;
use tokio::runtime::Runtime;

use super::http::Answer;
use super::person::Person;
use super::process::Process;
use super::sums::Facts;

/// Whom the servers run as: neither superuser nor owner of anything.
pub(crate) const ROLE: &str = "subtle_tests";

/// How the servers of a test are started.
pub(crate) struct Builder {
    environment: BTreeMap<String, String>,
    place: Place,
    parameters: String,
    servers: usize,
}

/// The database of a test.
enum Place {
    Migrated,
    Empty,
    At(String),
}

impl Builder {
    /// Sets an environment variable of the servers.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds to the query of the `DATABASE_URL`: `connection_limit=2`.
    pub(crate) fn database(mut self, parameters: &str) -> Self {
        self.parameters = format!("&{parameters}");
        self
    }

    /// On a database without a single table.
    pub(crate) fn on_empty_database(mut self) -> Self {
        self.place = Place::Empty;
        self
    }

    /// On the database of that URL.
    pub(crate) fn on(mut self, url: String) -> Self {
        self.place = Place::At(url);
        self
    }

    /// Starts that many servers on the one database, all at once.
    pub(crate) fn servers(mut self, servers: usize) -> Self {
        self.servers = servers;
        self
    }

    pub(crate) async fn start(self) -> TestApp {
        tokio::task::spawn_blocking(move || self.start_blocking()).await.unwrap()
    }

    fn start_blocking(mut self) -> TestApp {
        let (url, reached_at) = match self.place {
            Place::Migrated => {
                let url =
                    database(&format!("{} {ROLE}", migrations::fingerprint()), migrate).url().to_owned();
                let reached_at = as_role(&url);
                (url, reached_at)
            }
            // Who migrates owns what is made.
            Place::Empty => {
                let url = empty_database().url().to_owned();
                (url.clone(), url)
            }
            Place::At(url) => (url.clone(), url),
        };
        self.environment.insert("DATABASE_URL".to_owned(), format!("{reached_at}{}", self.parameters));
        let environment = &self.environment;
        let servers = std::thread::scope(|scope| {
            let started: Vec<_> =
                (0..self.servers).map(|_| scope.spawn(|| Process::start(environment))).collect();
            started.into_iter().map(|server| server.join().unwrap()).collect()
        });
        let data = PathBuf::from(self.environment.get("SUBTLE_DATA_DIR").cloned().unwrap_or_default());
        let environment = self.environment;
        TestApp { servers, url, environment, client: reqwest::Client::new(), data: DataDir(data) }
    }
}

/// Migrates a database for servers that run as [`ROLE`].
pub(crate) fn migrate(url: &str) -> Result<(), Box<dyn Error>> {
    Runtime::new()?.block_on(migrations::grant_to(url, ROLE))?;
    Ok(())
}

/// The database as the servers' own role reaches it. On another server than the tests' own it would need a password.
fn as_role(url: &str) -> String {
    url.replacen("postgres://postgres@/", &format!("postgres://{ROLE}@/"), 1)
}

/// One or more servers on a database of the test's own.
pub(crate) struct TestApp {
    servers: Vec<Process>,
    url: String,
    environment: BTreeMap<String, String>,
    pub(crate) client: reqwest::Client,
    /// Dropped after the servers.
    data: DataDir,
}

/// The servers' data dir, gone when this is dropped.
struct DataDir(PathBuf);

impl Drop for DataDir {
    fn drop(&mut self) {
        let _perhaps_never_made = std::fs::remove_dir_all(&self.0);
    }
}

impl TestApp {
    /// The servers' secret.
    pub(crate) const SECRET: &str = "a secret of the tests with 32 bytes or more";

    /// One server: cheap hashes, no rate limits.
    pub(crate) async fn start() -> Self {
        Self::builder().start().await
    }

    pub(crate) fn builder() -> Builder {
        let given = [
            ("SUBTLE_LISTEN", "127.0.0.1:0"),
            ("SUBTLE_SECRET", Self::SECRET),
            ("SUBTLE_BCRYPT_COST", "4"),
            ("SUBTLE_RATE_LIMIT", "off"),
            ("SUBTLE_LOG_FORMAT", "json"),
            ("SUBTLE_SHUTDOWN_DELAY", "0s"),
        ];
        let environment = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let builder = Builder { environment, place: Place::Migrated, parameters: String::new(), servers: 1 };
        builder.set("SUBTLE_DATA_DIR", &data_dir())
    }

    /// The server of that number, the first being 0.
    pub(crate) fn server(&self, number: usize) -> &Process {
        &self.servers[number]
    }

    pub(crate) fn server_mut(&mut self, number: usize) -> &mut Process {
        &mut self.servers[number]
    }

    /// Starts one more server with the same settings.
    pub(crate) fn add_server(&mut self) -> usize {
        self.servers.push(Process::start(&self.environment));
        self.servers.len() - 1
    }

    /// Runs a command of the program to its end, with the settings of the servers.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        self.run_on(&self.environment["DATABASE_URL"], arguments).await
    }

    /// Likewise, on the database of that URL.
    pub(crate) async fn run_on(&self, url: &str, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_subtle-under-test"));
        command.args(arguments).env_clear().envs(&self.environment);
        command.env("DATABASE_URL", url);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).output().await.unwrap()
    }

    /// `http://127.0.0.1:…/path` on the server of that number.
    pub(crate) fn url_of(&self, number: usize, path: &str) -> String {
        format!("http://{}{path}", self.server(number).address())
    }

    /// A request to the first server.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), self.url_of(0, path))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request("POST", path).json(body)).await
    }

    /// Signs somebody up who never was here before.
    pub(crate) async fn person(&self) -> Person {
        Person::sign_up(self).await
    }

    /// Somebody of that role: `support` or `admin`.
    pub(crate) async fn person_of_role(&self, role: &str) -> Person {
        let person = self.person().await;
        self.sql(&format!("UPDATE users SET role = '{role}' WHERE id = '{}'", person.id)).await;
        person
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/v1/auth/login", &json!({"email": email, "password": password})).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("/v1/auth/refresh", &json!({"refreshToken": token})).await
    }

    /// Where the servers put their letters.
    pub(crate) fn mail_dir(&self) -> PathBuf {
        self.data.0.join("mail")
    }

    /// The URL of the servers' database.
    pub(crate) fn database_url(&self) -> &str {
        &self.url
    }

    /// A connection to the servers' database.
    pub(crate) async fn connect(&self) -> tokio_postgres::Client {
        connect(&self.url).await
    }

    /// Runs SQL on the servers' database.
    pub(crate) async fn sql(&self, sql: &str) {
        self.connect().await.batch_execute(sql).await.unwrap();
    }

    /// The rows that queries on the servers' database give, each of two texts.
    pub(crate) async fn facts(&self, queries: &[&str]) -> Facts {
        let client = self.connect().await;
        let mut facts = Facts::new();
        for query in queries {
            let rows = client.query(*query, &[]).await.unwrap();
            facts.extend(rows.iter().map(|row| (row.get(0), row.get(1))));
        }
        facts
    }

    /// The one value, as text, that a query on the servers' database gives.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let row = self.connect().await.query_one(&format!("SELECT ({sql})::text"), &[]).await.unwrap();
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }
}

/// A connection to the database of that URL.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn data_dir() -> String {
    fresh_folder("data").to_string_lossy().into_owned()
}

/// The path of a folder that nobody has made yet.
pub(crate) fn fresh_folder(what: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{what}-{}-{number}", std::process::id()))
}
