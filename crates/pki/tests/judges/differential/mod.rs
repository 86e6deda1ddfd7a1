//! One judge, three others: chains and lists, generated from a table of single faults and of pairs of them, are judged by
//! OpenSSL's strict mode, Go, webpki, and by what this crate says when it verifies, lints and issues.
//!
//! The table says who refuses what, and of each difference whom we follow and why. It is printed:
//! `cargo test -p caravan-pki --test judges differential -- --nocapture`.

mod forge;
mod judges;
mod model;
mod signatures;
mod table;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caravan_pki::lint::{self, Severity};
use caravan_pki::verify::{Purpose, Verifier};
use caravan_pki::{Authority, Certificate, Error, PrivateKey, RevocationList, San};
use p256::pkcs8::{EncodePrivateKey, LineEnding};

use super::judge;
use forge::NOW;
use judges::{Case, Verdict};
use model::{Asked, HOST, Keys, LEAF, LOWER, Model, ROOT};
use table::{ALL, Lint, NOBODY, Refusing, Row, rows};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

/// What this crate says.
struct Ours {
    verify: Result<(), String>,
    lint: Result<Vec<&'static str>, String>,
}

fn ours(case: &Case) -> Ours {
    let parsed: Result<Vec<Certificate>, Error> = case
        .certificates
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect();
    let all = match parsed {
        Ok(all) => all,
        // What cannot be read is not trusted, and lint says so of the file.
        Err(error) => {
            let error = error.to_string();
            return Ours {
                verify: Err(error.clone()),
                lint: Err(error),
            };
        }
    };
    let lists: Vec<RevocationList> = case
        .lists
        .iter()
        .map(|der| RevocationList::parse(der).unwrap())
        .collect();
    let verifier = lists
        .iter()
        .fold(Verifier::new([&all[ROOT]]), Verifier::with_revocation_list);
    let chain: Vec<&Certificate> = case.sent().map(|place| &all[place]).collect();
    let purpose = match case.asked {
        Asked::Server => Purpose::Server(San::try_from(HOST).unwrap()),
        Asked::Client => Purpose::Client,
    };
    let errors = lint::certificates(&all, now())
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    Ours {
        verify: verifier
            .verify(&chain, &purpose, now())
            .map_err(|error| error.to_string()),
        lint: Ok(errors.map(|finding| finding.rule).collect()),
    }
}

/// Whether the lower authority of the case makes the leaf of it again.
fn issues(model: &Model, case: &Case) -> Result<(), String> {
    let make = || -> Result<(), Error> {
        let all: Result<Vec<Certificate>, Error> = case
            .certificates
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect();
        let all = all?;
        let key = model.chain[LOWER].key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let key = PrivateKey::from_pem(key.as_bytes())?;
        let authority = Authority::new(all[LOWER].clone(), key, now())?
            .with_chain(all[LOWER + 1..].iter().cloned())?;
        let leaf_key = all[LEAF].public_key()?;
        let lifetime = caravan_pki::Lifetime::days(10);
        authority.reissue(&all[LEAF], &leaf_key, lifetime, now())?;
        Ok(())
    };
    make().map_err(|error| error.to_string())
}

struct Judged {
    name: String,
    expected: Refusing,
    ours_expected: bool,
    lint_expected: Lint,
    why: String,
    found: Verdict,
    ours: Ours,
}

fn mark(refuses: bool) -> char {
    if refuses { 'X' } else { '-' }
}

impl Judged {
    fn line(&self) -> String {
        let go = match (self.expected.go, &self.found.go) {
            (None, _) => ' ',
            (_, Some(go)) => mark(go.is_err()),
            (_, None) => '?',
        };
        let openssl = self.found.openssl.as_ref();
        let openssl = openssl.map_or('?', |found| mark(found.is_err()));
        let lint = match (self.lint_expected, &self.ours.lint) {
            (Lint::Error(rule), _) => rule,
            (Lint::Blind, _) => "(not told)",
            (Lint::Any | Lint::Clean, _) => "",
        };
        format!(
            "{:<58} {openssl} {go} {} {}  {lint:<26} {}",
            self.name,
            mark(self.found.webpki.is_err()),
            mark(self.ours.verify.is_err()),
            self.why,
        )
    }

    /// What is otherwise than expected.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |who: &str, found: Result<(), String>, refuses: bool| {
            if found.is_err() != refuses {
                let said = found.err().unwrap_or_else(|| "accepts".to_owned());
                faults.push(format!(
                    "{}: {who} was to {}: {said}",
                    self.name,
                    if refuses { "refuse" } else { "accept" }
                ));
            }
        };
        if let Some(openssl) = &self.found.openssl {
            check("openssl", openssl.clone(), self.expected.openssl);
        }
        if let (Some(go), Some(refuses)) = (&self.found.go, self.expected.go) {
            check("go", go.clone(), refuses);
        }
        check("webpki", self.found.webpki.clone(), self.expected.webpki);
        check("verify", self.ours.verify.clone(), self.ours_expected);
        match (self.lint_expected, &self.ours.lint) {
            (_, Err(_)) | (Lint::Blind, _) => {}
            (Lint::Error(rule), Ok(found)) if !found.contains(&rule) => {
                faults.push(format!("{}: lint lacks {rule}: {found:?}", self.name));
            }
            (Lint::Any, Ok(found)) if found.is_empty() => {
                faults.push(format!("{}: lint finds nothing", self.name));
            }
            (Lint::Clean, Ok(found)) if !found.is_empty() => {
                faults.push(format!("{}: lint finds {found:?}", self.name));
            }
            _ => {}
        }
        faults
    }
}

/// Pairs of rows that do not meddle with each other; every eighth of them, in an order that lets each row have its turn.
fn pairs(rows: &[Row]) -> Vec<(&Row, &Row)> {
    let mut pairs = Vec::new();
    for (i, one) in rows.iter().enumerate() {
        for (j, other) in rows.iter().enumerate().skip(i + 1) {
            if (i * 7 + j * 13) % 8 == 0 && !one.meddles_with(other) {
                pairs.push((one, other));
            }
        }
    }
    pairs
}

fn both(one: Refusing, other: Refusing) -> Refusing {
    Refusing {
        openssl: one.openssl || other.openssl,
        go: match (one.go, other.go) {
            (None, other) => other,
            (one, None) => one,
            (Some(one), Some(other)) => Some(one || other),
        },
        webpki: one.webpki || other.webpki,
    }
}

/// Every row, and pairs of them: what everybody says is what the table says.
#[test]
fn every_fault_is_judged_as_the_table_says() {
    let rows = rows();
    let keys = Keys::new();
    let mut models = vec![(
        "nothing".to_owned(),
        Model::good(&keys),
        NOBODY,
        false,
        Lint::Clean,
        "",
    )];
    for row in &rows {
        let mut model = Model::good(&keys);
        (row.change)(&mut model);
        models.push((
            row.name.clone(),
            model,
            row.refusing,
            row.ours,
            row.lint,
            row.why,
        ));
    }
    let singles = models.len();
    for (one, other) in pairs(&rows) {
        let mut model = Model::good(&keys);
        (one.change)(&mut model);
        (other.change)(&mut model);
        let is_error = |row: &Row| matches!(row.lint, Lint::Error(_));
        let lint = match (one.lint, other.lint) {
            _ if one.cuts() || other.cuts() => Lint::Blind,
            _ if is_error(one) || is_error(other) => Lint::Any,
            (Lint::Blind, _) | (_, Lint::Blind) => Lint::Blind,
            _ => Lint::Clean,
        };
        models.push((
            format!("{} + {}", one.name, other.name),
            model,
            both(one.refusing, other.refusing),
            one.ours || other.ours,
            lint,
            "",
        ));
    }
    assert!(models.len() > 500, "{} cases", models.len());
    let cases: Vec<Case> = models
        .iter()
        .map(|(_, model, ..)| Case::of(model))
        .collect();
    let verdicts = judges::ask(
        &cases,
        judge("openssl").as_deref(),
        super::go::go().as_deref(),
    );
    let judged: Vec<Judged> = models
        .into_iter()
        .zip(&cases)
        .zip(verdicts)
        .map(
            |(((name, _, expected, ours_expected, lint_expected, why), case), found)| Judged {
                name,
                expected,
                ours_expected,
                lint_expected,
                why: match expected.all_agree() {
                    true => String::new(),
                    false => why.to_owned(),
                },
                found,
                ours: ours(case),
            },
        )
        .collect();
    println!(
        "{:<58} O G W us lint                       where they differ, we follow",
        ""
    );
    for one in &judged[..singles] {
        println!("{}", one.line());
    }
    println!("and {} pairs", judged.len() - singles);
    let faults: Vec<String> = judged.iter().flat_map(Judged::faults).collect();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    for one in &judged[..singles] {
        let said = one.expected.all_agree() || !one.why.is_empty();
        assert!(said, "{}: no word on whom we follow", one.name);
    }
}

/// What somebody refuses is not signed, over the whole chain.
#[test]
fn nothing_is_signed_that_somebody_would_refuse() {
    let keys = Keys::new();
    let mut faults = Vec::new();
    let mut refused = 0;
    for row in rows() {
        // Of these, an authority knows nothing: lists, who is asked, what is sent; and dates and signatures it judges by
        // itself.
        let apart = [
            "list",
            "time",
            "signature",
            "issuer",
            "algorithm",
            "serial",
            "sent",
        ];
        let is_apart = apart.iter().any(|part| row.group.contains(part)) || row.lint == Lint::Blind;
        if is_apart || row.lint == Lint::Error("server-names") {
            continue;
        }
        let mut model = Model::good(&keys);
        (row.change)(&mut model);
        let found = issues(&model, &Case::of(&model));
        // Some rows are of one purpose, and the leaf is made again for all that it lists.
        let is_fault = row.refusing != NOBODY || matches!(row.lint, Lint::Error(_));
        let expected = is_fault && !row.still_issues;
        refused += usize::from(expected);
        if found.is_err() != expected {
            faults.push(format!("{}: {found:?}", row.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(refused > 60, "{refused}");
}

/// The rows must tell the judges apart, or the table would hold nothing.
#[test]
fn the_table_has_something_of_everything() {
    let rows = rows();
    let count = |wanted: fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count();
    assert!(count(|row| row.refusing == ALL) > 20);
    assert!(count(|row| row.refusing == NOBODY) > 20);
    assert!(count(|row| !row.refusing.all_agree()) > 30);
    let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), rows.len());
}
