//! `sfmc.upload`.

mod client;
mod deliver;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stagewright_plugin::{
    Disclosure, Goal, Kind, Metrics, ParamError, PersonalColumns, Port, Secret, SecretUse, Source, Stage, StageContext,
    StageError, Table,
};

use crate::cells::{Input, integer_column, text_column};
use crate::package::Package;
use crate::permission::{Consent, Permissions, Reason};
use client::Client;
use deliver::{Done, Limits};

/// Write the rows of a bundle into its data extension, by the asynchronous REST interface.
///
/// Nothing is sent to anybody: rows get into a sendable data extension that must be there, with the definition in the
/// bundle, and whoever runs the campaign sends to it. The transactional interface is never used.
///
/// Who may be written to is asked again, of what is connected and named here: `contacts`, `suppression` and the files
/// of `opt_outs`, which are read right before the upload. At least one of them must be there. Whoever is left out now
/// is not uploaded. What an earlier run has uploaded stays in the data extension: take a new one for each campaign.
///
/// Rows are upserted by the primary key, so that sending them again changes nothing: a run that was interrupted starts
/// over and ends with one row per person. The stage succeeds when the service has confirmed every row. A batch in which
/// it found errors is sent once more, and then in halves, until the rows that it refuses stand alone: these fail the
/// stage, by their place in the file.
///
/// What the service answers is no function of the inputs: request ids, and how many requests it took, differ from run
/// to run. A stage whose inputs have not changed is not executed again.
///
/// 429 is obeyed (`Retry-After`, `retryAfter`); a server that is blocked (50200), busy or broken, and a connection that
/// breaks, are tried again after a pause that doubles, with jitter. A token is asked for once and renewed shortly
/// before it expires, or when the service says that it has.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// The account.
    account: Account,
    /// How much is sent at once.
    #[serde(default)]
    batch: Batch,
    /// Files (CSV, with a header) of those who must not be written to, as they are when the upload begins: a path or a
    /// pattern. Their column of subscriber keys and their `status` are found as those of `suppression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opt_outs: Option<String>,
    /// The subscriber key, in `contacts`.
    #[serde(default = "subscriber_key")]
    subscriber_key: String,
    /// Which columns say who may be written to.
    #[serde(default)]
    consent: Consent,
    /// How often a request is tried again.
    #[serde(default = "retries")]
    #[schemars(range(max = 100))]
    retries: u32,
    /// The first pause before a request is tried again, in seconds; it doubles to a minute, with jitter.
    #[serde(default = "pause")]
    #[schemars(range(max = 60.0), extend("exclusiveMinimum" = 0))]
    pause: f64,
    /// How long an answer may take, in seconds.
    #[serde(default = "timeout")]
    #[schemars(range(max = 3600.0), extend("exclusiveMinimum" = 0))]
    timeout: f64,
    /// The first pause between two questions whether a batch is done, in seconds; it grows to thirty times that.
    #[serde(default = "poll")]
    #[schemars(range(max = 60.0), extend("exclusiveMinimum" = 0))]
    poll: f64,
    /// How long a batch may take to be done, in seconds.
    #[serde(default = "patience")]
    #[schemars(range(max = 86400.0), extend("exclusiveMinimum" = 0))]
    patience: f64,
}

/// An account of Marketing Cloud, and an installed package that may write data extensions.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Account {
    /// The subdomain of the account's addresses: `mc563885gzs27c5t9-63k636ttgm`.
    subdomain: String,
    /// The client id of the package: `${secret:NAME}`.
    client_id: Secret,
    /// Its client secret: `${secret:NAME}`.
    client_secret: Secret,
    /// The business unit (MID); that of the package where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    /// Where tokens come from, instead of `https://SUBDOMAIN.auth.marketingcloudapis.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth_url: Option<String>,
    /// Where rows go, instead of `https://SUBDOMAIN.rest.marketingcloudapis.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest_url: Option<String>,
}

/// How much is sent at once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub(crate) struct Batch {
    /// The most rows; Marketing Cloud takes no more than 32,000.
    #[schemars(range(min = 1, max = 32_000))]
    rows: usize,
    /// The most bytes of a request's body.
    #[schemars(range(min = 1_000))]
    bytes: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 4_000_000 }
    }
}

fn subscriber_key() -> String {
    "subscriber_key".to_owned()
}

fn retries() -> u32 {
    8
}

fn pause() -> f64 {
    0.5
}

fn timeout() -> f64 {
    60.0
}

fn poll() -> f64 {
    1.0
}

fn patience() -> f64 {
    1800.0
}

/// An address that requests are sent to: encrypted, unless it is this machine.
fn address(path: &str, given: Option<&str>, otherwise: String) -> Result<Url, ParamError> {
    let text = given.map_or(otherwise, str::to_owned);
    let wrong = |what: &str| ParamError::new(format!("account/{path}"), format!("`{text}` is no address: {what}"));
    let url = Url::parse(text.trim_end_matches('/')).map_err(|error| wrong(&error.to_string()))?;
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err(wrong("`https` is needed").with_help("plain `http` reaches this machine only")),
    }
}

impl Account {
    fn auth(&self) -> Result<Url, ParamError> {
        address("auth_url", self.auth_url.as_deref(), format!("https://{}.auth.marketingcloudapis.com", self.subdomain))
    }

    fn rest(&self) -> Result<Url, ParamError> {
        address("rest_url", self.rest_url.as_deref(), format!("https://{}.rest.marketingcloudapis.com", self.subdomain))
    }
}

impl Stage for Upload {
    const TYPE: &'static str = "sfmc.upload";
    const EXAMPLE: &'static str = "\
inputs: { bundle: deliver.bundle, suppression: unsubscribed }
with:
  account:
    subdomain: mc563885gzs27c5t9-63k636ttgm
    client_id: ${secret:SFMC_CLIENT_ID}
    client_secret: ${secret:SFMC_CLIENT_SECRET}";

    fn ports() -> Vec<Port> {
        vec![
            Port::input("bundle", Kind::Files, "What `sfmc.bundle` made."),
            Port::input("contacts", Kind::Table, "Who may be written to now: subscriber key, status or opt-out.")
                .optional(),
            Port::input("suppression", Kind::Table, "Subscriber keys that must not be written to now.").optional(),
            Port::output(
                "receipt",
                Kind::Table,
                "A row per batch: `batch`, `request_id`, `rows`, `status` (complete, or errors: sent again).",
            ),
            Port::output("metrics", Kind::Metrics, "Rows uploaded and left out, requests, tokens."),
        ]
    }

    fn check(&self) -> Result<(), ParamError> {
        let label = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.account.subdomain.is_empty() || !self.account.subdomain.chars().all(label) {
            return Err(ParamError::new("account/subdomain", format!("`{}` is no subdomain", self.account.subdomain))
                .with_help("it is what stands before `.rest.marketingcloudapis.com`"));
        }
        self.account.auth()?;
        self.account.rest().map(drop)
    }

    fn sources(&self) -> Vec<Source> {
        self.opt_outs.iter().map(|path| Source::new("opt_outs", path)).collect()
    }

    fn secrets(&self) -> Vec<SecretUse> {
        let used = |secret: &Secret| SecretUse { name: secret.name().to_owned(), in_key: false };
        vec![used(&self.account.client_id), used(&self.account.client_secret)]
    }

    fn personal(&self, _inputs: &PersonalColumns) -> PersonalColumns {
        PersonalColumns::new()
    }

    fn discloses(&self) -> Vec<Disclosure> {
        Vec::new()
    }

    fn run(&self, context: &mut StageContext) -> Result<(), StageError> {
        let mut package = Package::read(context.files("bundle")?.as_ref())?;
        let permissions = self.permissions(context)?;
        let mut left_out: BTreeMap<Reason, u64> = BTreeMap::new();
        let rows = std::mem::take(&mut package.rows);
        // Where a row stands in the file, which the header is the first line of.
        let mut kept = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            let key = row.first().map(String::as_str).unwrap_or_default();
            match permissions.now(key) {
                Some(reason) => *left_out.entry(reason).or_default() += 1,
                None => kept.push((at + 2, row)),
            }
        }
        let error = |error: ParamError| StageError::data(error.to_string());
        let account = client::Account {
            auth: self.account.auth().map_err(error)?,
            rest: self.account.rest().map_err(error)?,
            client_id: context.secret(&self.account.client_id)?.clone(),
            client_secret: context.secret(&self.account.client_secret)?.clone(),
            account_id: self.account.account_id.clone(),
        };
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(60));
        let limits = Limits {
            rows: self.batch.rows,
            bytes: self.batch.bytes,
            poll: seconds(self.poll),
            patience: seconds(self.patience),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StageError::environment(format!("cannot wait for connections: {error}")))?;
        let done = runtime.block_on(async {
            let client =
                Client::new(account, seconds(self.timeout), (seconds(self.pause), self.retries), context.monitor())?;
            deliver::all(&client, &package, &kept, &limits, context).await
        })?;
        context.put("receipt", receipt(&done)?)?;
        let mut metrics = Metrics::new();
        metrics.insert("uploaded", Some(kept.len() as f64), Goal::Describe)?;
        metrics.insert("left_out", Some(left_out.values().sum::<u64>() as f64), Goal::Describe)?;
        for (reason, count) in left_out {
            metrics.insert(format!("left_out_{}", reason.name()), Some(count as f64), Goal::Describe)?;
        }
        metrics.insert("batches", Some(done.sent.len() as f64), Goal::Describe)?;
        metrics.insert("requests", Some(done.requests as f64), Goal::Describe)?;
        metrics.insert("tokens", Some(done.tokens as f64), Goal::Describe)?;
        context.put("metrics", metrics)
    }
}

/// Who may be written to now.
struct Now {
    permissions: Permissions,
    /// Whether everyone must be in `contacts`.
    contacts: bool,
}

impl Now {
    fn now(&self, key: &str) -> Option<Reason> {
        if self.contacts { self.permissions.of(key).1 } else { self.permissions.of_key(key) }
    }
}

impl Upload {
    fn permissions(&self, context: &StageContext) -> Result<Now, StageError> {
        let key = self.subscriber_key.as_str();
        let contacts = context.has_input("contacts");
        if !contacts && !context.has_input("suppression") && self.opt_outs.is_none() {
            return Err(StageError::data("nothing says who may be written to now").with_help(
                "connect `contacts` or `suppression` as they are now, or name a file of `opt_outs`: people opt out \
                 between the making of a bundle and its upload",
            ));
        }
        let mut permissions = Permissions::default();
        if contacts {
            let table = context.table("contacts")?;
            permissions = self.consent.contacts(Input { port: "contacts", table: &table }, key, key)?;
        }
        if context.has_input("suppression") {
            let table = context.table("suppression")?;
            self.consent.suppress(&mut permissions, Input { port: "suppression", table: &table }, key, key)?;
        }
        for file in context.sources("opt_outs") {
            let table = read_csv(&file.path, &file.name)?;
            self.consent
                .suppress(&mut permissions, Input { port: "opt_outs", table: &table }, key, key)
                .map_err(|error| error.at(file.name.clone()))?;
        }
        Ok(Now { permissions, contacts })
    }
}

/// A file of texts.
fn read_csv(path: &std::path::Path, name: &str) -> Result<Table, StageError> {
    let wrong = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => StageError::environment(format!("cannot read it: {error}")).at(name),
        csv::ErrorKind::UnequalLengths { pos, .. } => {
            let line = pos.map_or(0, |pos| pos.line());
            StageError::data("a line has more or fewer values than the first").at(format!("{name}:{line}"))
        }
        _ => StageError::data("it is no CSV file in UTF-8").at(name),
    };
    let mut reader = csv::ReaderBuilder::new().from_path(path).map_err(wrong)?;
    let names: Vec<String> =
        reader.headers().map_err(wrong)?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    for record in reader.into_records() {
        for (column, value) in columns.iter_mut().zip(&record.map_err(wrong)?) {
            column.push(Some(value.to_owned()));
        }
    }
    let columns = names.into_iter().zip(columns).map(|(name, values)| text_column(&name, values));
    Table::new(columns.collect()).map_err(|error| StageError::data(error.message).at(name))
}

fn receipt(done: &Done) -> Result<Table, StageError> {
    let sent = || done.sent.iter();
    let status = |errors: bool| if errors { "errors" } else { "complete" }.to_owned();
    Table::new(vec![
        integer_column("batch", (1..=done.sent.len() as i64).collect()),
        text_column("request_id", sent().map(|sent| Some(sent.request_id.clone())).collect()),
        integer_column("rows", sent().map(|sent| sent.rows as i64).collect()),
        text_column("status", sent().map(|sent| Some(status(sent.errors))).collect()),
    ])
}
