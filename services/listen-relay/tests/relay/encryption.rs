//! The log where the database is to be spoken to in TLS.

use std::time::{Duration, Instant};

use anyhow::ensure;
use ingot_schema::RealtimeSource;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::scene::{PATIENCE, Scene, numbers, publish};

/// Lets the server offer TLS, which changes nothing for those who do not ask for it.
async fn offer_tls(sql: &mut PgConnection) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let folder: String = sqlx::query_scalar("select current_setting('data_directory')")
        .fetch_one(&mut *sql)
        .await?;
    let files = [
        ("ssl_cert_file", made.cert.pem()),
        ("ssl_key_file", made.signing_key.serialize_pem()),
    ];
    for (setting, text) in files {
        let file = format!("{folder}/{setting}-{}.pem", std::process::id());
        // A key that others may read is none to PostgreSQL.
        let write = format!(
            "copy (select unnest(string_to_array($pem${}$pem$, e'\n')))
            to program 'umask 077 && cat > \"{file}\"'",
            text.trim().replace('\r', "")
        );
        sql.execute(AssertSqlSafe(write)).await?;
        let set = format!("alter system set {setting} = '{file}'");
        sql.execute(AssertSqlSafe(set)).await?;
    }
    sql.execute("alter system set ssl = on").await?;
    sql.execute("select pg_reload_conf()").await?;
    Ok(())
}

/// Whether new connections can have TLS by now.
async fn offers_tls(scene: &Scene) -> anyhow::Result<bool> {
    let mut sql = scene.project.superuser().await?;
    let ssl: String = sqlx::query_scalar("show ssl").fetch_one(&mut sql).await?;
    sql.close().await?;
    Ok(ssl == "on")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_read_in_tls_where_that_is_asked_for() -> anyhow::Result<()> {
    // It changes settings of the whole server.
    let scene = Scene::apart(RealtimeSource::Wal).await?;
    let mut sql = scene.project.superuser().await?;
    offer_tls(&mut sql).await?;
    let deadline = Instant::now() + PATIENCE;
    while !offers_tls(&scene).await? {
        ensure!(Instant::now() < deadline, "the server offers no TLS");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut room = scene.join("orders").await?;
    let relay = scene.relay_with(&[("POSTGRES_SSLMODE", "require")]).await?;
    let deadline = Instant::now() + PATIENCE;
    let encrypted: bool = loop {
        let reading = sqlx::query_scalar(
            "select ssl from pg_stat_ssl
            where pid = (
                select active_pid from pg_replication_slots
                where database = current_database() and active
                    and confirmed_flush_lsn is not null
            )",
        );
        if let Some(encrypted) = reading.fetch_optional(&mut sql).await? {
            break encrypted;
        }
        ensure!(Instant::now() < deadline, "nobody reads the log");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    ensure!(encrypted, "the log is read in the clear");
    for n in 1..=3 {
        publish(&mut sql, "orders", n).await?;
    }
    assert_eq!(numbers(&mut room, 3).await?, [1, 2, 3]);
    relay.stop().await
}
