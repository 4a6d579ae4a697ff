//! What happens to the cluster.

use std::time::Duration;

use ingot_standalone::Service;
use tokio::time::sleep;

use super::cluster::Cluster;
use super::traffic::Traffic;

/// How long somebody is cut off: longer than it takes to notice.
const CUT_OFF: Duration = Duration::from_secs(15);

/// Realtime nodes at the widest.
const MANY: usize = 6;
const FEW: usize = 2;

/// Something that operators or machines do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Nothing.
    Calm,
    /// Every process of a service is replaced, one after the other.
    Rolled(Service),
    /// A machine of a service disappears.
    Lost(Service),
    /// A realtime node hears nothing of NATS.
    NodeWithoutNats,
    /// A realtime node hears nothing of PostgreSQL.
    NodeWithoutPostgres,
    /// Names cannot be looked up.
    NoNames,
    /// Realtime nodes come and go: 2, 6, 2.
    Scaled,
}

impl Scene {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Calm,
        Self::Rolled(Service::Migration),
        Self::Rolled(Service::Api),
        Self::Rolled(Service::RecordsProxy),
        Self::Rolled(Service::RealtimeFanout),
        Self::Rolled(Service::ListenRelay),
        Self::Rolled(Service::Edge),
        Self::Scaled,
        Self::NodeWithoutNats,
        Self::NodeWithoutPostgres,
        Self::NoNames,
        Self::Lost(Service::RealtimeFanout),
        Self::Lost(Service::RecordsProxy),
    ];

    /// What the table calls it.
    pub fn name(self) -> String {
        let seconds = CUT_OFF.as_secs();
        match self {
            Self::Calm => "nothing".to_owned(),
            Self::Rolled(service) => format!("rolling restart of {}", service.name()),
            Self::Lost(service) => format!("a machine of {} disappears", service.name()),
            Self::NodeWithoutNats => format!("a node without NATS for {seconds} s"),
            Self::NodeWithoutPostgres => format!("a node without PostgreSQL for {seconds} s"),
            Self::NoNames => format!("no DNS for {seconds} s"),
            Self::Scaled => "2 nodes, 6, and 2 again".to_owned(),
        }
    }

    /// Whether requests may fail: they are on a machine when it goes away, or need a connection to
    /// PostgreSQL that nobody can make.
    pub(super) fn may_break_off(self) -> bool {
        matches!(
            self,
            Self::Lost(Service::RecordsProxy | Service::Api) | Self::NoNames
        )
    }

    /// Lets it happen; returns when all is well again.
    pub(super) async fn play(self, cluster: &mut Cluster, traffic: &Traffic) -> anyhow::Result<()> {
        let node = Service::RealtimeFanout;
        match self {
            Self::Calm => sleep(Duration::from_secs(2)).await,
            Self::Rolled(service) => cluster.roll(service, traffic).await?,
            Self::Lost(service) => cluster.lose(service).await?,
            Self::NodeWithoutNats => cluster.part_from_nats(node, CUT_OFF).await?,
            Self::NodeWithoutPostgres => cluster.part_from_postgres(node, CUT_OFF).await?,
            Self::NoNames => {
                cluster.resolver.pause()?;
                sleep(CUT_OFF).await;
                cluster.resolver.resume()?;
            }
            Self::Scaled => {
                while cluster.count(node) < MANY {
                    cluster.add(node).await?;
                }
                while cluster.count(node) > FEW {
                    cluster.retire(node).await?;
                }
            }
        }
        Ok(())
    }
}
