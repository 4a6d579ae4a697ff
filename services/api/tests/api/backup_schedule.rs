//! Scheduled backups: their settings, what is due, and what is removed.

use std::time::Duration;

use ingot_testkit::TestService;
use serde_json::{Value, json};

use crate::backups::{CONFIG, folders, listed};
use crate::harness::{Api, send};

#[tokio::test]
async fn the_schedule_is_checked_and_told() {
    let api = Api::start().await;
    let shown = send(api.admin("GET", CONFIG)).await;
    let defaults = json!({ "backup": {
        "enabled": false, "cronSchedule": "0 0 * * *", "retentionDays": 7, "nextBackupAt": null
    } });
    assert_eq!(shown.body, defaults);
    for wrong in [
        json!({}),
        json!({ "backup": {} }),
        json!({ "backup": { "unknown": 1 } }),
        json!({ "backup": { "cronSchedule": "* * * * *" } }),
        json!({ "backup": { "cronSchedule": "0 0 * *" } }),
        json!({ "backup": { "cronSchedule": "" } }),
        json!({ "backup": { "retentionDays": 0 } }),
        json!({ "backup": { "retentionDays": 3651 } }),
        json!({ "backup": { "retentionDays": 1.5 } }),
        json!({ "backup": { "enabled": "yes" } }),
    ] {
        let refused = send(api.admin("PATCH", CONFIG).json(&wrong)).await;
        assert_eq!(refused.refusal(), (400, "INVALID_INPUT"), "{wrong}");
    }
    let change = json!({ "backup": { "enabled": true, "cronSchedule": "30 3 1 1 *", "retentionDays": null } });
    let changed = send(api.admin("PATCH", CONFIG).json(&change)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let backup = &changed.body["backup"];
    assert_eq!(
        (&backup["enabled"], &backup["retentionDays"]),
        (&json!(true), &Value::Null)
    );
    let next = backup["nextBackupAt"].as_str().unwrap();
    assert!(next.ends_with("-01-01T03:30:00.000Z"), "{next}");
    assert_eq!(send(api.admin("GET", CONFIG)).await.body, changed.body);
    // The schedule begins now: what was due before is not made up for.
    assert_eq!(listed(&api).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_is_due_is_made_once_and_what_expired_is_removed() {
    let api = Api::start().await;
    api.project
        .execute(
            "update system.database_config set backup_enabled = true, backup_retention_days = 3,
                 backup_cron_schedule = extract(minute from now() - interval '5 min')::int || ' * * * *',
                 backup_schedule_anchor = now() - interval '1 day';
             insert into system.database_backups (trigger_source, status, created_at) values
                 ('scheduled', 'completed', now() - interval '4 days'),
                 ('manual', 'completed', now() - interval '4 days'),
                 ('scheduled', 'completed', now() - interval '2 hours')",
        )
        .await
        .unwrap();
    // Every replica looks at its start.
    let replicas: Vec<TestService> = vec![api.replica().await, api.replica().await];
    let mut backups = listed(&api).await;
    for _ in 0..200 {
        if backups.len() == 3 && backups.iter().all(|it| it["status"] == "completed") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        backups = listed(&api).await;
    }
    let kinds: Vec<_> = backups
        .iter()
        .map(|it| it["triggerSource"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["scheduled", "scheduled", "manual"], "{backups:#?}");
    assert!(backups[0]["expiresAt"].is_string() && backups[2]["expiresAt"].is_null());
    assert_eq!(folders(&api).len(), 1);
    for replica in replicas {
        replica.stop().await.unwrap();
    }
}
