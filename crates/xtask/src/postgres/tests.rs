use std::io::{BufRead, BufReader};

use super::*;

fn ask(url: &str, question: &str) -> String {
    let mut command = Command::new(tool("psql").unwrap());
    command.args([
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--dbname",
        url,
    ]);
    let answer = output(command.args(["--command", question])).unwrap();
    String::from_utf8(answer.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_cluster_is_durable_survives_kill9_and_leaves_nothing() {
    let mut cluster = Cluster::start().unwrap();
    let url = cluster.url();
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(ask(&url, &format!("SHOW {setting}")), "on");
    }
    psql(
        &url,
        &["CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)"],
    )
    .unwrap();

    cluster.kill9().unwrap();
    assert!(psql(&url, &["SELECT 1"]).is_err());
    cluster.restart().unwrap();
    assert_eq!(ask(&url, "SELECT n FROM kept"), "7");

    let directory = cluster.directory.clone();
    assert!(directory.join("data").is_dir());
    drop(cluster);
    assert!(!directory.exists());
}

/// Runs this test again as another process, the owner: that one says what it holds and waits.
#[test]
fn a_killed_owner_takes_its_server_along() {
    const OWNER: &str = "XTASK_TEST_OWNER";
    if std::env::var_os(OWNER).is_some() {
        let cluster = Cluster::start().unwrap();
        println!(
            "holds {} {}",
            cluster.watchdog.id(),
            cluster.directory.display()
        );
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "postgres::tests::a_killed_owner_takes_its_server_along",
        ])
        .env(OWNER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let held = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, held) = line.split_once("holds ")?;
        held.split_once(' ')
            .map(|(watchdog, directory)| (watchdog.to_owned(), directory.to_owned()))
    });
    let (watchdog, directory) = held.unwrap();
    assert!(Path::new(&directory).join("data/postmaster.pid").exists());

    owner.kill().unwrap();
    owner.wait().unwrap();
    // Returns when the watchdog has ended.
    output(Command::new("tail").args(["--pid", &watchdog, "-f", "/dev/null"])).unwrap();
    assert!(!Path::new(&directory).exists());
}

#[test]
fn databases_are_separate_and_dropped() {
    let (first, second) = (database().unwrap(), database().unwrap());
    psql(&first.url(), &["CREATE TABLE mine (n int)"]).unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(ask(&first.url(), tables), "1");
    assert_eq!(ask(&second.url(), tables), "0");

    let (server, name) = (first.server.clone(), first.name.clone());
    drop(first);
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(ask(&server, &left), "0");
}

#[test]
fn a_database_takes_the_place_of_the_servers_own() {
    let server = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable";
    let expected = "postgres://postgres@127.0.0.1:5432/test_1_0?sslmode=disable";
    assert_eq!(with_database(server, "test_1_0"), expected);
}

#[test]
fn ready_means_this_process_and_its_last_state() {
    let lock = |state| format!("41\n/data\n1700000000\n5432\n/run\n127.0.0.1\n  1  2\n{state}\n");
    assert!(is_ready(&lock("ready   "), 41));
    assert!(!is_ready(&lock("starting"), 41));
    assert!(
        !is_ready(&lock("ready"), 42),
        "a killed server's file is not this server's"
    );
    assert!(!is_ready("41\n/data\n", 41));
}
