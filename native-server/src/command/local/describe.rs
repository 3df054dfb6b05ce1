use super::{arity_of, unknown_subcommand};
use crate::command::arguments::{Wrong, is, wrong};
use crate::command::plan::specs_named;
use crate::command::table::{Spec, Support, find, specs};
use crate::resp::{Args, Replies};

/// `COMMAND` and its kin: the table as Redis describes its own.
pub fn command(spec: &'static Spec, args: Args<'_>, out: &mut Replies<'_>) -> Result<(), Wrong> {
    let word = args.get(1).to_ascii_lowercase();
    match (word.as_slice(), args.len()) {
        (_, 1) => {
            out.array(specs().len());
            specs().iter().for_each(|spec| describe(spec, out));
        }
        (b"count", 2) => out.integer(specs().len() as i64),
        (b"info", _) => {
            let found: Vec<_> = specs_named(args.from(2)).collect();
            out.array(found.len());
            for spec in found {
                match spec {
                    Some(spec) => describe(spec, out),
                    None => out.null(),
                }
            }
        }
        (b"docs", _) => {
            let found: Vec<_> = specs_named(args.from(2)).flatten().collect();
            out.map(found.len());
            for spec in found {
                document(spec, out);
            }
        }
        (b"list", 2) => names(specs().iter(), out),
        (b"list", 5) if is(args.get(2), "filterby") => {
            let filter = args.get(4);
            let fits = |spec: &&Spec| match args.get(3) {
                by if is(by, "pattern") => {
                    crate::command::glob::matches(&filter.to_ascii_lowercase(), spec.name.as_bytes())
                }
                by if is(by, "aclcat") => spec.flags.split(' ').any(|flag| is(filter, flag)),
                _ => false,
            };
            names(specs().iter().filter(fits), out);
        }
        (b"getkeys", 3..) => {
            let behind = args.from(2);
            let asked = find(behind.get(0)).ok_or_else(|| wrong("Invalid command specified"))?;
            if !asked.takes(behind.len()) {
                return Err(wrong("Invalid number of arguments specified for command"));
            }
            let keys: Vec<usize> = asked.key_indexes(behind.len()).collect();
            if keys.is_empty() {
                return Err(wrong("The command has no key arguments"));
            }
            out.array(keys.len());
            keys.into_iter().for_each(|index| out.bulk(behind.get(index)));
        }
        (b"count" | b"list" | b"getkeys", _) => {
            return Err(arity_of(spec, &String::from_utf8_lossy(&word)));
        }
        _ => return Err(unknown_subcommand(spec, args)),
    }
    Ok(())
}

fn names<'a>(specs: impl Iterator<Item = &'a Spec>, out: &mut Replies<'_>) {
    let names: Vec<_> = specs.map(|spec| spec.name).collect();
    out.array(names.len());
    names.iter().for_each(|name| out.bulk(name.as_bytes()));
}

fn describe(spec: &Spec, out: &mut Replies<'_>) {
    out.array(10);
    out.bulk(spec.name.as_bytes());
    out.integer(i64::from(spec.arity));
    let flags: Vec<_> = spec.flags.split(' ').collect();
    out.set(flags.len());
    flags.iter().for_each(|flag| out.simple(flag));
    out.integer(i64::from(spec.first_key));
    out.integer(i64::from(spec.last_key));
    out.integer(i64::from(spec.key_step));
    out.set(1);
    out.simple(&format!("@{}", spec.group));
    out.array(0);
    out.array(0);
    out.array(0);
}

fn document(spec: &Spec, out: &mut Replies<'_>) {
    out.bulk(spec.name.as_bytes());
    out.map(4);
    out.bulk(b"summary");
    match spec.support {
        Support::Full => out.bulk(spec.summary.as_bytes()),
        Support::Differs(how) | Support::Refused(how) => {
            out.bulk(format!("{} Differs from Redis: {how}.", spec.summary).as_bytes());
        }
    }
    out.bulk(b"since");
    out.bulk(b"0.1.0");
    out.bulk(b"group");
    out.bulk(spec.group.as_bytes());
    out.bulk(b"complexity");
    out.bulk(b"O(1) for each key");
}
