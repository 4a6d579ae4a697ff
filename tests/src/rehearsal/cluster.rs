//! Services as processes on machines of their own, treated as Kubernetes would: a new one first,
//! then lists of addresses, then the end of the old one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ingot_config::Environment;
use ingot_private_servers::{PrivateServers, Running, Signal, guarded_command};
use ingot_standalone::{Member, Plan, Secrets, Service, Settings, wait_until_ready};
use tempfile::TempDir;
use tokio::time::sleep;

use super::lan::{Lan, Machine};
use super::resolver::Resolver;
use super::traffic::Traffic;
use crate::cluster::program;

/// Time that services may take to become ready.
const READY: Duration = Duration::from_mins(1);
/// Between the removal from all lists and the signal, as `preStop` in `k8s/base`.
const PRE_STOP: Duration = Duration::from_secs(2);
/// Longest stop: the longest drain and a little more.
const STOP: Duration = Duration::from_mins(1);
/// Until somebody notices that a machine is gone and starts another.
const NOTICED: Duration = Duration::from_secs(5);

const POSTGRES: &str = "postgres";
const NATS: &str = "nats";
const DATABASE: &str = "ingot";

/// A process and its machine.
#[derive(Debug)]
struct Pod {
    member: Member,
    machine: Machine,
    process: Running,
}

/// All that runs.
#[derive(Debug)]
pub(super) struct Cluster {
    // In the order in which things end.
    pods: Vec<Pod>,
    pub(super) resolver: Resolver,
    servers: PrivateServers,
    postgres: Machine,
    nats: Machine,
    resolver_machine: Machine,
    lan: Lan,
    settings: Settings,
    secrets: Secrets,
    plan: Plan,
    started: BTreeMap<Service, u16>,
    folder: TempDir,
}

impl Cluster {
    /// Two of each service, but one migration service, ready.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let mut lan = Lan::create()?;
        let resolver_machine = lan.machine(None)?;
        let (postgres, nats) = (lan.machine(None)?, lan.machine(None)?);
        let folder = tempfile::tempdir()?;
        let mut resolver = Resolver::start(&resolver_machine, folder.path()).await?;
        resolver.add(POSTGRES, postgres.address)?;
        resolver.add(NATS, nats.address)?;
        let places = (postgres.place(), nats.place());
        let servers = PrivateServers::start_throw_away_at(&places.0, &places.1).await?;
        let none = Environment::default();
        let secrets = Secrets::load_or_create(&folder.path().join("secrets.env"), &none)?;
        let settings = Settings::beside(&(&servers).into(), &secrets, folder.path(), &none);
        let mut cluster = Self {
            pods: Vec::new(),
            resolver,
            servers,
            postgres,
            nats,
            resolver_machine,
            lan,
            settings,
            secrets,
            plan: Plan::from_iter([]),
            started: BTreeMap::new(),
            folder,
        };
        cluster.start_all().await?;
        Ok(cluster)
    }

    /// Edges come last: they are ready when there is somebody behind them.
    async fn start_all(&mut self) -> anyhow::Result<()> {
        let (edges, behind): (Vec<Service>, Vec<_>) = Service::ALL
            .into_iter()
            .partition(|service| *service == Service::Edge);
        for services in [behind, edges] {
            let mut started = Vec::new();
            for service in services {
                let count = if service == Service::Migration { 1 } else { 2 };
                for _ in 0..count {
                    started.push(self.launch(service).await?);
                }
            }
            wait_until_ready(&started, READY, |_| {}).await?;
            for member in started {
                self.enlist(&member)?;
            }
        }
        Ok(())
    }

    /// URLs of the edges.
    pub(super) fn edges(&self) -> Vec<String> {
        let edges = self.of(Service::Edge);
        edges
            .map(|pod| format!("http://{}", pod.member.address))
            .collect()
    }

    /// A secret by its variable.
    pub(super) fn secret(&self, variable: &str) -> &str {
        self.secrets.get(variable)
    }

    /// The superuser's URL of the project's database.
    pub(super) fn database_url(&self) -> String {
        self.servers.postgres().url(DATABASE)
    }

    /// How many of a service there are.
    pub(super) fn count(&self, service: Service) -> usize {
        self.of(service).count()
    }

    /// Replaces every process of a service, one after the other.
    pub(super) async fn roll(&mut self, service: Service, traffic: &Traffic) -> anyhow::Result<()> {
        for _ in 0..self.count(service) {
            if service == Service::Edge {
                self.restart_edge(traffic).await?;
            } else {
                self.add(service).await?;
                self.retire(service).await?;
            }
        }
        Ok(())
    }

    /// Starts one more, waits until it is ready, and tells everybody.
    pub(super) async fn add(&mut self, service: Service) -> anyhow::Result<()> {
        let member = self.launch(service).await?;
        wait_until_ready(&[member], READY, |_| {}).await?;
        self.enlist(&member)
    }

    /// Stops the oldest.
    pub(super) async fn retire(&mut self, service: Service) -> anyhow::Result<()> {
        let pod = self.take(service)?;
        self.delist(&pod.member)?;
        sleep(PRE_STOP).await;
        pod.process.stop(Signal::SIGTERM, STOP).await?;
        ended_well(&pod)?;
        self.lan.remove(&pod.machine)
    }

    /// Stops the oldest edge and starts it again on its machine: clients know edges by address.
    async fn restart_edge(&mut self, traffic: &Traffic) -> anyhow::Result<()> {
        let pod = self.take(Service::Edge)?;
        traffic.go_to(self.edges());
        sleep(PRE_STOP).await;
        pod.process.stop(Signal::SIGTERM, STOP).await?;
        ended_well(&pod)?;
        let member = self.run(pod.member, pod.machine).await?;
        wait_until_ready(&[member], READY, |_| {}).await?;
        traffic.go_to(self.edges());
        Ok(())
    }

    /// A machine is gone from one moment to the next, without a word; some time later another
    /// one takes its place.
    pub(super) async fn lose(&mut self, service: Service) -> anyhow::Result<()> {
        let pod = self.take(service)?;
        self.lan.unplug(&pod.machine)?;
        sleep(NOTICED).await;
        self.delist(&pod.member)?;
        self.add(service).await?;
        pod.process.stop(Signal::SIGKILL, STOP).await?;
        self.lan.remove(&pod.machine)
    }

    /// Parts the oldest of a service from NATS for a while.
    pub(super) async fn part_from_nats(
        &self,
        service: Service,
        time: Duration,
    ) -> anyhow::Result<()> {
        self.part(&self.nats, service, time).await
    }

    /// Parts the oldest of a service from PostgreSQL for a while.
    pub(super) async fn part_from_postgres(
        &self,
        service: Service,
        time: Duration,
    ) -> anyhow::Result<()> {
        self.part(&self.postgres, service, time).await
    }

    async fn part(&self, server: &Machine, from: Service, time: Duration) -> anyhow::Result<()> {
        let pod = self.of(from).next().context("no such process")?;
        self.lan.part(server, &pod.machine)?;
        sleep(time).await;
        self.lan.join(server, &pod.machine)?;
        wait_until_ready(&[pod.member], READY, |_| {}).await
    }

    fn of(&self, service: Service) -> impl Iterator<Item = &Pod> {
        self.pods
            .iter()
            .filter(move |pod| pod.member.service == service)
    }

    fn take(&mut self, service: Service) -> anyhow::Result<Pod> {
        let mut pods = self.pods.iter();
        let oldest = pods.position(|pod| pod.member.service == service);
        Ok(self.pods.remove(oldest.context("no such process")?))
    }

    fn enlist(&mut self, member: &Member) -> anyhow::Result<()> {
        match (name(member.service), member.address.ip()) {
            (Some(name), IpAddr::V4(address)) => self.resolver.add(name, address),
            _ => Ok(()),
        }
    }

    fn delist(&mut self, member: &Member) -> anyhow::Result<()> {
        match (name(member.service), member.address.ip()) {
            (Some(name), IpAddr::V4(address)) => self.resolver.remove(name, address),
            _ => Ok(()),
        }
    }

    /// Starts a process on a new machine.
    async fn launch(&mut self, service: Service) -> anyhow::Result<Member> {
        let machine = self.lan.machine(Some(&self.resolver_machine))?;
        let number = self.started.entry(service).or_default();
        *number += 1;
        let (port, health) = ports(service);
        let at = |port| SocketAddr::new(IpAddr::V4(machine.address), port);
        let member = Member {
            service,
            number: *number,
            address: at(port),
            health: at(health),
        };
        self.run(member, machine).await
    }

    async fn run(&mut self, member: Member, machine: Machine) -> anyhow::Result<Member> {
        let program = program(&format!("ingot-{}", member.service.name()))?;
        let command = guarded_command(&program, "KILL")?;
        let mut command: Command = machine.place().enter(command);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.settings.of(&member, &self.plan))
            .envs(Self::variables(&member));
        let (name, log) = (member.name(), self.log(&member));
        let process = Running::spawn(&name, command, log, Signal::SIGKILL).await?;
        self.pods.push(Pod {
            member,
            machine,
            process,
        });
        Ok(member)
    }

    fn log(&self, member: &Member) -> PathBuf {
        self.folder.path().join(format!("{}.log", member.name()))
    }

    /// What is otherwise than on one machine: names instead of addresses, drains as usual.
    fn variables(member: &Member) -> Vec<(&'static str, String)> {
        let named = |service: &str, port: u16| format!("{}:{port}", Resolver::name(service));
        let mut variables = vec![
            ("POSTGRES_HOST", Resolver::name(POSTGRES)),
            ("NATS_URL", format!("nats://{}", named(NATS, 4222))),
            ("INGOT_EDGE_ADDRESS", member.address.ip().to_string()),
            ("INGOT_EDGE_DRAIN_TIMEOUT", "30".to_owned()),
            ("INGOT_EDGE_DRAIN_DELAY", "3".to_owned()),
            ("INGOT_DRAIN_TIMEOUT", "20".to_owned()),
            ("INGOT_RATE_LIMIT", "100000000".to_owned()),
            ("API_BASE_URL", "http://edge.ingot.test".to_owned()),
        ];
        for (variable, service) in [
            ("INGOT_UPSTREAM_API", Service::Api),
            ("INGOT_UPSTREAM_RECORDS", Service::RecordsProxy),
            ("INGOT_UPSTREAM_MIGRATION", Service::Migration),
            ("INGOT_UPSTREAM_REALTIME", Service::RealtimeFanout),
        ] {
            let name = name(service).unwrap_or_default();
            variables.push((variable, named(name, ports(service).0)));
        }
        variables
    }

    /// The last lines of the logs, for a run that failed.
    pub(super) fn last_words(&self) -> String {
        let mut words = String::new();
        for pod in &self.pods {
            let text = std::fs::read_to_string(self.log(&pod.member)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(12).collect();
            for line in lines.iter().rev() {
                words.extend([&pod.member.name(), ": ", line, "\n"]);
            }
        }
        words
    }
}

fn ended_well(pod: &Pod) -> anyhow::Result<()> {
    match pod.process.status() {
        Some(status) => ensure!(
            status.success(),
            "{} ended with {status}",
            pod.member.name()
        ),
        None => bail!("{} did not end", pod.member.name()),
    }
    Ok(())
}

/// The name by which edges find a service.
fn name(service: Service) -> Option<&'static str> {
    match service {
        Service::Api => Some("api"),
        Service::RecordsProxy => Some("records"),
        Service::Migration => Some("migration"),
        Service::RealtimeFanout => Some("realtime"),
        Service::ListenRelay | Service::Edge => None,
    }
}

/// Ports for use and for health.
fn ports(service: Service) -> (u16, u16) {
    match service {
        Service::Edge => (7130, 7129),
        Service::Api => (7131, 7131),
        Service::RecordsProxy => (7132, 7132),
        Service::RealtimeFanout => (7134, 7134),
        Service::ListenRelay => (7135, 7135),
        Service::Migration => (7136, 7136),
    }
}
