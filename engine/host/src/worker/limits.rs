//! What a worker gives up before it loads its library.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::protocol::Access;
use crate::check::{Checked, Code};
use crate::sys;

/// What a library may read besides its inputs: other libraries, and what the C library and threads look at.
const SYSTEM: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu",
];

/// What one needs besides to open a connection by name, encrypted.
const NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/run/systemd/resolve",
];

/// Gives up everything else, for this process and whatever it starts, and says which limits hold.
pub(super) fn apply(checked: &Checked, access: &Access, scratch: &Path) -> Vec<String> {
    sys::no_core_dumps();
    let (environment, files, own) = match &checked.code {
        Code::Library => ("empty", "system libraries", std::slice::from_ref(&checked.path)),
        Code::Executable(executable) => match &executable.readable {
            Some(readable) => {
                ("PATH and what makes Python repeat itself", "the system's programs and its own", readable.as_slice())
            }
            None => return vec!["files and network: not limited".to_owned()],
        },
    };
    let mut limits = vec![format!("environment: {environment}")];
    match landlock(own, access, scratch) {
        Ok(status) => {
            let network = if access.network { "not limited: the stage type asks for it" } else { "no TCP" };
            match status.ruleset {
                RulesetStatus::FullyEnforced => {
                    limits.push(format!("files: inputs, scratch and {files} alone"));
                    limits.push(format!("network: {network}"));
                }
                RulesetStatus::PartiallyEnforced => {
                    limits.push(format!("files: inputs, scratch and {files} alone, as far as this kernel can"));
                    limits.push(format!("network: {network}, as far as this kernel can"));
                }
                RulesetStatus::NotEnforced => {
                    limits.push("files and network: not limited, this kernel has no landlock".to_owned());
                }
            }
            if status.no_new_privs {
                limits.push("privileges: no new ones".to_owned());
            }
        }
        Err(error) => limits.push(format!("files and network: not limited: {error}")),
    }
    limits
}

fn landlock(own: &[PathBuf], access: &Access, scratch: &Path) -> Result<RestrictionStatus, RulesetError> {
    let abi = ABI::V6;
    let read = AccessFs::from_read(abi);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        // A plugin signals nobody but itself.
        .scope(Scope::from_all(abi))?;
    if !access.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    let network: &[&str] = if access.network { NETWORK } else { &[] };
    ruleset
        .create()?
        .add_rules(path_beneath_rules(SYSTEM.iter().chain(network), read))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::from_file(abi)))?
        .add_rules(path_beneath_rules(own, read))?
        .add_rules(path_beneath_rules(&access.read, read))?
        .add_rules(path_beneath_rules([scratch], AccessFs::from_all(abi)))?
        .restrict_self()
}
