use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;

use subtle_local_postgres::testing;

use crate::subtle::{Folder, Server, get, migrated, printed, refusal, run_with, status};

#[test]
fn without_any_setting_it_serves_on_a_postgresql_of_its_own_and_keeps_what_it_has() {
    let folder = Folder::new();
    let mut first = Server::start(folder.subtle(&[]));
    let address = first.ready();
    assert_eq!((status(&address, "/health/live"), status(&address, "/health/ready")), (200, 200));
    assert_eq!(fs::metadata(folder.path().join(".subtle/secret")).unwrap().mode() & 0o777, 0o600);
    let keys = get(&address, "/.well-known/jwks.json");
    // The command joins the server's PostgreSQL.
    let admin = folder.subtle(&["create-admin", "--email", "ada@example.com", "--password-stdin"]);
    assert!(run_with(admin, "tr0ub4dor&3\n").status.success());
    assert!(first.stop().success());

    let mut second = Server::start(folder.subtle(&["serve"]));
    let address = second.ready();
    assert!(!second.told().iter().any(|line| line.contains("brought the database up to date")));
    let kid = |answer: &str| answer.split_once("\"kid\":\"").unwrap().1.split('"').next().unwrap().to_owned();
    assert_eq!(kid(&get(&address, "/.well-known/jwks.json")), kid(&keys), "the same secret");
    assert!(second.stop().success());

    let admin = folder.subtle(&["create-admin", "--email", "ada@example.com", "--password-stdin"]);
    let again = run_with(admin, "tr0ub4dor&3\n");
    assert!(String::from_utf8(again.stdout).unwrap().contains("had an account"), "the data stayed");
}

#[test]
fn health_is_told_by_the_exit_code() {
    let (folder, database) = (Folder::new(), migrated());
    let mut server = Server::start(folder.on(database.url(), &[]));
    let address = server.ready();
    let health = || folder.subtle(&["health", "--listen", &address]);
    assert_eq!(printed(health()), "ready\n");
    assert!(server.stop().success());
    assert!(refusal(health(), 1).contains(&format!("nobody answers on {address}")));
}

#[test]
fn five_servers_that_start_together_on_an_empty_database_all_become_ready() {
    let (folder, database) = (Folder::new(), testing::empty_database());
    let mut servers: Vec<_> = (0..5).map(|_| Server::start(folder.on(database.url(), &[]))).collect();
    let addresses: Vec<_> = servers.iter_mut().map(Server::ready).collect();
    for address in &addresses {
        assert_eq!(status(address, "/health/ready"), 200);
    }
    let applied = |server: &Server| -> usize {
        let lines = server.told().iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter_map(|line| line["migrations"].as_u64()).map(|many| usize::try_from(many).unwrap()).sum()
    };
    let all = printed(folder.on(database.url(), &["migrate", "--status"])).lines().count();
    assert_eq!(servers.iter().map(applied).sum::<usize>(), all, "each migration was applied once");
    assert!(servers.into_iter().all(|server| server.stop().success()));
}

#[test]
fn logs_are_json_where_nobody_watches() {
    let (folder, database) = (Folder::new(), migrated());
    let mut server = Server::start(folder.on(database.url(), &[]));
    let address = server.ready();
    for line in server.told() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string());
    }
    let last: serde_json::Value = serde_json::from_str(server.told().last().unwrap()).unwrap();
    assert_eq!(last["address"], address);
    let _answer = get(&address, "/nowhere?x=%0d%0aforged");
    let answered = server.await_line("answered");
    assert!(serde_json::from_str::<serde_json::Value>(&answered).is_ok(), "{answered}");
}

#[test]
fn a_request_in_flight_is_answered_before_the_end() {
    let (folder, database) = (Folder::new(), migrated());
    let mut server = Server::start(folder.on(database.url(), &[]));
    let address = server.ready();
    let body = r#"{"email":"nobody@example.com","password":"tr0ub4dor&3"}"#;
    let head = format!(
        "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // Now it is in flight.
    let proceed = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut answer = vec![0; proceed.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, proceed);
    server.signal("TERM");
    server.await_line("stopping");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(server.end().success());
}

#[test]
fn readiness_fails_first_and_a_second_signal_ends_it_at_once() {
    let (folder, database) = (Folder::new(), migrated());
    let mut command = folder.on(database.url(), &[]);
    command.env("SUBTLE_SHUTDOWN_DELAY", "60s");
    let mut server = Server::start(command);
    let address = server.ready();
    server.signal("TERM");
    server.await_line("stopping");
    assert_eq!(status(&address, "/health/ready"), 503);
    assert_eq!(status(&address, "/health/live"), 200);
    server.signal("TERM");
    assert_eq!(server.end().code(), Some(143));
}

#[test]
fn ctrl_c_stops_it_without_delay() {
    let (folder, database) = (Folder::new(), migrated());
    let mut command = folder.on(database.url(), &[]);
    command.env("SUBTLE_SHUTDOWN_DELAY", "60s");
    let mut server = Server::start(command);
    server.ready();
    server.signal("INT");
    assert!(server.end().success());
}

#[test]
fn an_address_that_is_taken_stops_the_start() {
    let (folder, database) = (Folder::new(), migrated());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = folder.on(database.url(), &["--listen", &address]);
    command.env("SUBTLE_LOG", "error");
    assert!(refusal(command, 1).contains(&format!("cannot listen on {address} (setting listen)")));
}

#[test]
fn a_mail_server_without_a_public_url_is_told_of_and_its_password_is_not() {
    let (folder, database) = (Folder::new(), migrated());
    let mut server =
        Server::start(folder.on(database.url(), &["--smtp-url", "smtps://u:hunter2@mail.example.com"]));
    server.ready();
    let told = server.told().iter().filter(|line| line.contains("public_url is not set")).count();
    assert_eq!(told, 1);
    assert!(!server.told().concat().contains("hunter2"));
}
