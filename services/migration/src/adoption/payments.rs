//! Payments as they were before there was a second provider: what is Stripe's alone kept its place
//! under another name, and what is everybody's now was about nobody else. The facts are those of
//! contract, schema §9 (step 49).

use sqlx::{PgConnection, query_as, query_scalar};

use super::reference::{rename, rename_column};
use super::{AdoptionError, Journal, run};

/// The first step that knows providers.
const PROVIDERS: u32 = 49;

/// Tables of old, and their names since then.
const TABLES: [(&str, &str); 9] = [
    ("products", "stripe_products"),
    ("prices", "stripe_prices"),
    ("subscriptions", "stripe_subscriptions"),
    ("subscription_items", "stripe_subscription_items"),
    ("checkout_sessions", "stripe_checkout_sessions"),
    (
        "customer_portal_sessions",
        "stripe_customer_portal_sessions",
    ),
    ("stripe_connections", "provider_connections"),
    ("stripe_customer_mappings", "customer_mappings"),
    ("payment_history", "transactions"),
];

/// Brings tables and columns to their new names, and removes what was unique or kept up to date by
/// the old ones. The steps make it anew, for every provider.
pub(super) async fn mend(
    connection: &mut PgConnection,
    step: u32,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    if step >= PROVIDERS {
        return Ok(());
    }
    forget(connection, journal).await?;
    for (old, new) in TABLES {
        let keeps_key = new.starts_with("stripe_");
        if rename(connection, "payments", old, new, journal).await? && !keeps_key {
            let sql =
                format!("alter table payments.{new} rename constraint {old}_pkey to {new}_pkey");
            run(connection, &sql, format!("renaming payments.{old}")).await?;
        }
    }
    rename_columns(connection, journal).await
}

/// Unique constraints and indexes, but primary keys, and triggers that set `updated_at`.
async fn forget(connection: &mut PgConnection, journal: &mut Journal) -> Result<(), AdoptionError> {
    let objects: Vec<String> = query_scalar(
        "select format('alter table %s drop constraint %I', c.conrelid::pg_catalog.regclass, c.conname)
         from pg_catalog.pg_constraint as c
         where c.connamespace = pg_catalog.to_regnamespace('payments') and c.contype = 'u'
         union all
         select format('drop index %s', i.indexrelid::pg_catalog.regclass)
         from pg_catalog.pg_index as i
         join pg_catalog.pg_class as t on t.oid = i.indrelid
         where t.relnamespace = pg_catalog.to_regnamespace('payments') and not exists (
             select from pg_catalog.pg_constraint as c where c.conindid = i.indexrelid)
         union all
         select format('drop trigger %I on %s', g.tgname, g.tgrelid::pg_catalog.regclass)
         from pg_catalog.pg_trigger as g
         join pg_catalog.pg_class as t on t.oid = g.tgrelid
         where t.relnamespace = pg_catalog.to_regnamespace('payments') and not g.tgisinternal
             and g.tgfoid = pg_catalog.to_regprocedure('system.update_updated_at()')",
    )
    .fetch_all(&mut *connection)
    .await?;
    for sql in &objects {
        run(connection, sql, "making payments anew").await?;
    }
    if !objects.is_empty() {
        journal.did("what was unique in payments is unique for each provider now");
    }
    Ok(())
}

async fn rename_columns(
    connection: &mut PgConnection,
    journal: &mut Journal,
) -> Result<(), AdoptionError> {
    let columns: Vec<(String, String)> = query_as(
        "select t.relname::text, a.attname::text
         from pg_catalog.pg_attribute as a
         join pg_catalog.pg_class as t on t.oid = a.attrelid and t.relkind = 'r'
         where t.relnamespace = pg_catalog.to_regnamespace('payments')
             and t.relname ~ '^[a-z_]+$' and a.attname ~ '^stripe_[a-z_]+$'
             and a.attnum > 0 and not a.attisdropped
         order by 1, 2",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (table, old) in columns {
        if let Some(new) = name_since(&table, &old) {
            rename_column(
                connection,
                &format!("payments.{table}"),
                &old,
                &new,
                journal,
            )
            .await?;
        }
    }
    Ok(())
}

/// What a column that was named after Stripe is called since there are others.
fn name_since(table: &str, column: &str) -> Option<String> {
    let rest = column.strip_prefix("stripe_")?;
    match (table, rest) {
        _ if table.starts_with("stripe_") => Some(rest.to_owned()),
        ("provider_connections", "account_email") => Some(rest.to_owned()),
        ("provider_connections", "account_id")
        | ("customer_mappings", "customer_id")
        | ("customers" | "transactions", "customer_id" | "created_at")
        | ("webhook_events", "event_id" | "account_id") => Some(format!("provider_{rest}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::name_since;

    #[test]
    fn columns_lose_the_name_of_the_one_provider() {
        let since = |table, column| name_since(table, column).unwrap_or_default();
        assert_eq!(since("stripe_prices", "stripe_product_id"), "product_id");
        assert_eq!(since("stripe_prices", "unit_amount"), "");
        assert_eq!(
            since("customers", "stripe_created_at"),
            "provider_created_at"
        );
        assert_eq!(
            since("webhook_events", "stripe_event_id"),
            "provider_event_id"
        );
        assert_eq!(
            since("provider_connections", "stripe_account_email"),
            "account_email"
        );
        // A report has one object; the others stay as they were.
        assert_eq!(since("transactions", "stripe_charge_id"), "");
    }
}
