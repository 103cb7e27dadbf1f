//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Run data and machine-learning experiments from one YAML file: every artifact cached, every variant compared.
#[derive(Debug, Parser)]
#[command(name = "stagewright", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Say more about what happens (-vv: even more). STAGEWRIGHT_LOG takes a filter instead
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command that uses a store takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The folder of the store [default: `.stagewright` beside the workflow]
    #[arg(long, global = true, value_name = "DIR", env = "STAGEWRIGHT_STORE")]
    pub(crate) store: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Execute what is not cached, and compare the variants
    Run(RunArgs),
    /// Say what a run would execute, and why, without executing
    Plan(PlanArgs),
    /// Say why a stage would execute, or why it did last time
    Explain(ExplainArgs),
    /// Draw the stages
    Graph(GraphArgs),
    /// Check a workflow
    Validate(ValidateArgs),
    /// Print the JSON Schema of a workflow, for editors
    Schema(SchemaArgs),
    /// List the stage types, or describe one
    Stages(StagesArgs),
    /// Print or export what a stage put out
    Get(GetArgs),
    /// List the runs in the journal, or show one
    Runs(RunsArgs),
    /// Show the verdict of a run again, set two runs side by side, or fail unless a verdict is as required
    Compare(CompareArgs),
    /// Decide about messages that are to be reviewed: in the terminal, or with a form
    Review(ReviewArgs),
    /// Look after the store
    Store(StoreArgs),
    /// Write a plugin to start from, or try one out
    Plugin(PluginArgs),
    /// Write a small workflow to start from
    Init(InitArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Run stages of a plugin for the program that started this one
    #[command(hide = true)]
    Worker,
}

impl Command {
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Self::Run(args) => args.json,
            Self::Plan(args) => args.json,
            Self::Explain(args) => args.json,
            Self::Validate(args) => args.json,
            Self::Compare(args) => matches!(args.format, CompareFormat::Json),
            Self::Stages(args) => args.json,
            Self::Runs(args) => match &args.command {
                None => args.json,
                Some(RunsCommand::List(list)) => list.json,
                Some(RunsCommand::Show(show)) => show.json,
            },
            Self::Store(args) => match &args.command {
                StoreCommand::Usage(args) => args.json,
                StoreCommand::Gc(args) => args.json,
                StoreCommand::Verify(args) => args.json,
                StoreCommand::Erase(args) => args.json,
            },
            Self::Plugin(_)
            | Self::Graph(_)
            | Self::Schema(_)
            | Self::Worker
            | Self::Get(_)
            | Self::Init(_)
            | Self::Completions(_)
            | Self::Review(_) => false,
        }
    }
}

/// Which workflow, and with which parameters.
#[derive(Debug, Args)]
pub(crate) struct WorkflowArgs {
    /// The workflow file
    #[arg(value_name = "WORKFLOW", default_value = "workflow.yaml")]
    pub(crate) workflow: PathBuf,
    /// Override a value: `params.NAME=VALUE` or `stages.NAME.with.PARAMETER=VALUE`. A relative path starts from the
    /// current folder
    #[arg(long, value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// Override parameters by those in a YAML file
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// Run only variants with this name or pattern, such as `pop*`
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Vec<String>,
    /// Start nothing new after the first stage that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// How many processor cores stages may use together [default: all]
    #[arg(short, long, value_name = "CORES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) jobs: Option<u32>,
    /// Execute every stage that is not cached twice, and compare what it puts out
    #[arg(long)]
    pub(crate) check_determinism: bool,
    /// Where to write the HTML report [default: in the store]
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Open the report in the browser
    #[arg(long)]
    pub(crate) open: bool,
    /// Print one JSON object at the end, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// Plan only variants with this name or pattern
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Vec<String>,
    /// Print one JSON object, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The stage
    #[arg(value_name = "STAGE")]
    pub(crate) stage: String,
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// Of which variant
    #[arg(long, value_name = "NAME", default_value = "base")]
    pub(crate) variant: String,
    /// Print one JSON object, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
    /// A picture
    Svg,
}

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// Draw only variants with this name or pattern
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Vec<String>,
    /// In which format
    #[arg(long, value_enum, default_value = "mermaid")]
    pub(crate) format: GraphFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// Print one JSON object, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Run every stage type of a plugin over the examples of its ports or made-up tables, and say where it breaks the rules
    Check {
        /// Files that the code of an executable is made of besides those that its command names: paths or patterns
        #[arg(long, value_name = "FILES")]
        code: Vec<String>,
        /// The library, or an executable file; with arguments, the command of an executable
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// The arguments of the command, such as `plugin.py`
        #[arg(value_name = "ARG", trailing_var_arg = true)]
        args: Vec<String>,
    },
    /// Write a project that builds and passes `plugin check`
    New {
        /// The name of the plugin, and of the folder to write
        #[arg(value_name = "NAME")]
        name: String,
        /// In which language
        #[arg(long, value_enum)]
        lang: PluginLanguage,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PluginLanguage {
    /// C99, with the header and a Makefile
    C,
    /// Rust, with the SDK from this program's repository
    Rust,
    /// Python, with the module that speaks the line protocol
    Python,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// With the stage types of the plugins that this workflow names
    #[arg(short, long, value_name = "WORKFLOW")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StagesArgs {
    /// The stage type to describe
    #[arg(value_name = "TYPE")]
    pub(crate) stage_type: Option<String>,
    /// With those of the plugins that this workflow names
    #[arg(short, long, value_name = "WORKFLOW")]
    pub(crate) file: Option<PathBuf>,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Comma-separated values
    Csv,
    /// Apache Parquet
    Parquet,
    /// A JSON array
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The stage, or one of its outputs
    #[arg(value_name = "STAGE[.PORT]")]
    pub(crate) output_port: String,
    #[command(flatten)]
    pub(crate) workflow: WorkflowArgs,
    /// Of which variant
    #[arg(long, value_name = "NAME", default_value = "base")]
    pub(crate) variant: String,
    /// Write to a file instead of the terminal, whose ending says the format; of several files, to a new folder
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// In which format [default: by the file's ending; CSV where the output is piped]
    #[arg(long, value_enum)]
    pub(crate) format: Option<ExportFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    #[command(flatten)]
    pub(crate) workflow: StoreOf,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List the latest runs
    List(RunsListArgs),
    /// Show one run
    Show(RunsShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunsListArgs {
    #[command(flatten)]
    pub(crate) workflow: StoreOf,
    /// How many
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunsShowArgs {
    /// The run: its id, the beginning of it, or its last four characters
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) workflow: StoreOf,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ReviewArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ReviewCommand>,
    /// The workflow file [default: workflow.yaml]
    #[arg(value_name = "WORKFLOW")]
    pub(crate) workflow: Option<PathBuf>,
    /// The stage, of type `generate.review` [default: the only one]
    #[arg(value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// Of which variant
    #[arg(long, value_name = "NAME", default_value = "base")]
    pub(crate) variant: String,
    /// Who decides [default: the user who is logged in]
    #[arg(long, value_name = "NAME")]
    pub(crate) reviewer: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReviewCommand {
    /// Write a form with the pending messages
    Export(ReviewExportArgs),
    /// Read the decisions of a form that was filled in
    Import(ReviewImportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReviewExportArgs {
    /// The workflow file
    #[arg(value_name = "WORKFLOW")]
    pub(crate) workflow: PathBuf,
    /// The stage, of type `generate.review`
    #[arg(value_name = "STAGE")]
    pub(crate) stage: String,
    /// Of which variant
    #[arg(long, value_name = "NAME", default_value = "base")]
    pub(crate) variant: String,
    /// Write to a file instead of the terminal
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewImportArgs {
    /// The workflow file
    #[arg(value_name = "WORKFLOW")]
    pub(crate) workflow: PathBuf,
    /// The stage, of type `generate.review`
    #[arg(value_name = "STAGE")]
    pub(crate) stage: String,
    /// The form
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Of which variant
    #[arg(long, value_name = "NAME", default_value = "base")]
    pub(crate) variant: String,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// A run, or a workflow for its last run [default: the last run that compared anything]
    #[arg(value_name = "RUN|WORKFLOW")]
    pub(crate) first: Option<String>,
    /// A later run to set beside the first: each variant with itself, and what changed
    #[arg(value_name = "RUN")]
    pub(crate) second: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreOf,
    /// In which format
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: CompareFormat,
    /// With two runs: what differs in this artifact, instead of in all metrics
    #[arg(long, value_name = "STAGE[.PORT]", requires = "second")]
    pub(crate) artifact: Option<String>,
    /// Of which variant the artifact is
    #[arg(long, value_name = "NAME", default_value = "base", requires = "artifact")]
    pub(crate) variant: String,
    /// The columns that tell the rows of a table apart [default: whole rows are compared]
    #[arg(long, value_name = "COLUMN", requires = "artifact")]
    pub(crate) key: Vec<String>,
    /// Exit with 1 unless this holds: `VARIANT better on STAGE.METRIC` or `VARIANT not worse on STAGE.METRIC`
    #[arg(long, value_name = "CONDITION")]
    pub(crate) require: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareFormat {
    /// A table for a terminal
    Text,
    /// One JSON object
    Json,
    /// A table for a pull request
    Markdown,
    /// A test suite, for what reads test results
    Junit,
}

/// For commands that need a store but no workflow.
#[derive(Debug, Args)]
pub(crate) struct StoreOf {
    /// The workflow whose store is meant [default: the store in the current folder, or beside the workflows in
    /// `workflows`]
    #[arg(short, long, value_name = "WORKFLOW")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Say how much is stored
    Usage(StoreUsageArgs),
    /// Remove what no recent run used
    Gc(StoreGcArgs),
    /// Check every artifact against its digest
    Verify(StoreVerifyArgs),
    /// List and remove every artifact that holds a person
    Erase(StoreEraseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StoreUsageArgs {
    #[command(flatten)]
    pub(crate) workflow: StoreOf,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreGcArgs {
    #[command(flatten)]
    pub(crate) workflow: StoreOf,
    /// Keep what this many latest runs of each workflow used
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub(crate) keep_runs: usize,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreVerifyArgs {
    #[command(flatten)]
    pub(crate) workflow: StoreOf,
    /// Forget what is damaged, so that the next run computes it again
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreEraseArgs {
    #[command(flatten)]
    pub(crate) workflow: StoreOf,
    /// The identifier of the person, as it stands in the tables
    #[arg(long, value_name = "ID")]
    pub(crate) subject: String,
    /// Look for it in columns of this name only [default: in every column of text or integers]
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Vec<String>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Print JSON, for machines; needs `--yes` or `--dry-run`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write
    #[arg(value_name = "FILE", default_value = "workflow.yaml")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}
