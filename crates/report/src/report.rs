//! All sections of a report, as data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::certificates::Certificates;
use crate::difference::Difference;
use crate::drills::DrillView;
use crate::records::LabRecords;
use crate::topology::Topology;
use crate::up::Runs;
use crate::verdict::Verdict;
use crate::what_if::WhatIf;

/// The version of this form: raised where a field changes its meaning or goes.
const FORMAT: u32 = 2;

/// What a page says of a lab, and its JSON twin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabReport {
    /// The version of this form: raised where a field changes its meaning or goes.
    pub format: u32,
    /// The lab.
    pub lab: String,
    /// When it was made, RFC 3339, UTC.
    pub made: String,
    /// What holds, what does not, and what nobody has tested.
    pub verdict: Verdict,
    /// What is where, and who may talk to whom.
    pub topology: Topology,
    /// What fails with what.
    pub what_if: WhatIf,
    /// What users saw while something was broken, the newest first.
    pub drills: Vec<DrillView>,
    /// What runs of verbs did.
    pub runs: Runs,
    /// The certificates of the lab.
    pub certificates: Certificates,
    /// What has changed since the report before; none where there was none.
    pub difference: Option<Difference>,
}

impl LabReport {
    /// Makes a report. What may be a key or a token stands in none of its texts.
    ///
    /// # Panics
    ///
    /// Never: its own form is read back.
    pub fn of(records: &LabRecords<'_>) -> Self {
        let verdict = Verdict::of(records);
        let topology = Topology::of(records, &verdict);
        let mut report = Self {
            format: FORMAT,
            lab: records.lab.name().to_owned(),
            made: records.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            what_if: WhatIf::of(records.lab),
            drills: records.drills.iter().map(DrillView::of).collect(),
            runs: Runs::of(records),
            certificates: Certificates::of(records),
            difference: None,
            verdict,
            topology,
        };
        report = report.without_secrets(records);
        report.difference = records
            .before
            .as_ref()
            .map(|before| Difference::between(before, &report));
        report
    }

    /// The same with every text struck through [`caravan_secrets::strike`]: whatever is drawn or written is made from what is left.
    fn without_secrets(self, records: &LabRecords<'_>) -> Self {
        let mut value = serde_json::to_value(&self).expect("plain fields are JSON");
        caravan_secrets::strike(&mut value, &records.secrets);
        serde_json::from_value(value).expect("what was written just now")
    }

    /// Reads a report that was kept; none where it is of another form.
    pub fn read(text: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        if value["format"] != FORMAT {
            return None;
        }
        serde_json::from_value(value).ok()
    }

    /// Returns it as JSON, with a line's end.
    ///
    /// # Panics
    ///
    /// Never: plain fields are JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain fields are JSON") + "\n"
    }
}
