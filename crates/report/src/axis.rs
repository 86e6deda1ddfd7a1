//! The marks of an axis of time.

/// Between marks, in seconds; beyond the last one, as many times that as it takes.
const STEPS: [u64; 11] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800];

/// Where marks stand on an axis that is so long, in seconds: from 0 on, at round times, and `most` steps at most.
pub(crate) fn marks(length_s: u64, most: u64) -> impl Iterator<Item = u64> {
    let step = STEPS.into_iter().find(|step| length_s / step <= most);
    let step = step.unwrap_or_else(|| {
        let last = STEPS[STEPS.len() - 1];
        last * length_s.div_ceil(last * most.max(1))
    });
    (0..=length_s / step).map(move |place| place * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        let of = |length_s| marks(length_s, 8).collect::<Vec<u64>>();
        assert_eq!(of(0), [0]);
        assert_eq!(of(5), [0, 1, 2, 3, 4, 5]);
        assert_eq!(of(27), [0, 5, 10, 15, 20, 25]);
        assert_eq!(of(130), [0, 20, 40, 60, 80, 100, 120]);
        for length_s in [9, 100, 1_000, 14_400, 100_000, 10_000_000] {
            let marks = of(length_s);
            assert!((2..=9).contains(&marks.len()), "{length_s}: {marks:?}");
            assert!(marks.iter().all(|at| *at <= length_s));
        }
    }
}
